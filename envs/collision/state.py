"""The state of N Collision episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray, IntArray, Rows, pick
from envs.array_env.state import BatchState
from envs.collision.motion import UNIT
from envs.draws import UIntArray


@dataclass
class CollisionState(BatchState):
    """State of N arenas with P particles of C colours: arrays `[N, ...]`.

    A pair is an ordered pair of colours, the number `C * first + second`.
    """

    key: UIntArray
    """The episode's key."""
    time: npt.NDArray[np.int32]
    """Index of the current frame, from 0."""
    length: npt.NDArray[np.int32]
    """Number of frames of the episode."""
    size: npt.NDArray[np.int32]
    """Side of the arena."""
    x: npt.NDArray[np.int32]
    """`[N, P]`, places of the particles from the west border, in units of `motion.UNIT`."""
    y: npt.NDArray[np.int32]
    """`[N, P]`, places of the particles from the north border, in these units."""
    velocity_x: npt.NDArray[np.int32]
    """`[N, P]`, velocities of the particles to the east, in these units per frame."""
    velocity_y: npt.NDArray[np.int32]
    """`[N, P]`, velocities of the particles to the south."""
    colour: npt.NDArray[np.int32]
    """`[N, P]`, colours of the particles."""
    collided: BoolArray
    """Whether two particles collide in the current frame."""
    quadrant: npt.NDArray[np.int8]
    """`[N, C * C]`, quadrant of the last collision of each pair; meaningless if there is none."""
    since: npt.NDArray[np.int32]
    """`[N, C * C]`, frame of the last collision of each pair; -1 if there is none."""
    pairs: npt.NDArray[np.int8]
    """`[N, C * C]`, the pairs that have collided, in the order of their first collision."""
    known: npt.NDArray[np.int32]
    """Number of pairs that have collided."""
    recent: npt.NDArray[np.int32]
    """The pair that collided last."""
    question: npt.NDArray[np.int32]
    """The pair that is asked for now."""
    right: IntArray
    """Number of questions answered rightly."""

    @classmethod
    def zeros(cls, count: int, particles: int, pairs: int) -> CollisionState:
        """Return the state of `count` arenas before their first episode."""
        return cls(
            key=np.zeros(count, np.uint64),
            time=np.zeros(count, np.int32),
            length=np.ones(count, np.int32),
            size=np.ones(count, np.int32),
            x=np.zeros((count, particles), np.int32),
            y=np.zeros((count, particles), np.int32),
            velocity_x=np.zeros((count, particles), np.int32),
            velocity_y=np.zeros((count, particles), np.int32),
            colour=np.zeros((count, particles), np.int32),
            collided=np.zeros(count, np.bool_),
            quadrant=np.zeros((count, pairs), np.int8),
            since=np.full((count, pairs), -1, np.int32),
            pairs=np.zeros((count, pairs), np.int8),
            known=np.zeros(count, np.int32),
            recent=np.zeros(count, np.int32),
            question=np.zeros(count, np.int32),
            right=np.zeros(count, np.int64),
        )

    def cells(self, rows: Rows) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return column and row of the particles of arenas `rows` in their arena, each `[M, P]`."""
        return pick(self.x, rows) // UNIT, pick(self.y, rows) // UNIT
