"""How particles move: straight on, and from the border into a new random direction.

Places are integers, in units of 1 / `UNIT` of a cell, so that they are the same on every machine.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from envs.draws import UIntArray

Places: TypeAlias = npt.NDArray[np.int32]

UNIT = 1 << 10
"""Units of place in a cell; a power of two."""
DIRECTIONS = 16
"""Number of directions. None is parallel to a border or to a diagonal: along these, particles would
run from corner to corner for ever."""
_ANGLES = (np.arange(DIRECTIONS) + 0.5) * (2 * np.pi / DIRECTIONS)
VELOCITIES = np.rint(UNIT * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])).astype(np.int32)
"""`[2, DIRECTIONS]`, in x (east) and y (south), in units per frame; one cell a frame in all."""


def velocities(bits: UIntArray) -> tuple[Places, Places]:
    """Turn the lowest 4 of random bits into velocities in x and in y, each of their shape."""
    direction = (bits & np.uint64(DIRECTIONS - 1)).astype(np.intp)
    return VELOCITIES[0].take(direction), VELOCITIES[1].take(direction)


def move(
    place: tuple[Places, Places],
    velocity: tuple[Places, Places],
    size: npt.NDArray[np.int32],
    bits: UIntArray,
) -> None:
    """Move particles by one cell, in place.

    A particle that would leave the arena first takes a random direction, mirrored at the borders
    that it would cross.

    Args:
        place: x and y of the particles, each `[N, P]`, in units.
        velocity: Their velocities in x and in y, each `[N, P]`, in units per frame.
        size: Sides of the arenas `[N]`, in cells.
        bits: Random bits `[N, P]`.
    """
    end = UNIT * size[:, None]
    moved = [at + step for at, step in zip(place, velocity, strict=True)]
    row, particle = np.nonzero(_outside(moved[0], end) | _outside(moved[1], end))
    new = velocities(bits[row, particle])
    for axis, step in enumerate(new):
        start = place[axis][row, particle]
        step = np.where(_outside(start + step, end[row, 0]), -step, step)
        velocity[axis][row, particle] = step
        moved[axis][row, particle] = start + step
        place[axis][...] = moved[axis]


def _outside(place: Places, end: Places) -> npt.NDArray[np.bool_]:
    """Return where a coordinate is not in `[0, end)`."""
    return (place < 0) | (place >= end)
