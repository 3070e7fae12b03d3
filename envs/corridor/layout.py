"""The cells of a corridor, computed column by column.

Only an episode's key and a few numbers are stored, so memory and time per step do not depend on the
length of the corridors.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from envs.corridor.state import CorridorState
from envs.draws import chance, draw
from envs.minigrid_view import BALLS, CLOSED_DOOR, EMPTY

Columns: TypeAlias = npt.NDArray[np.int32]
Strip: TypeAlias = npt.NDArray[np.uint32]

_FIRST_DRAW = 1000
"""Draw of an episode's key for column 0 (see `envs.draws.draw`)."""
_ONE = np.uint64(1)


def fill_columns(state: CorridorState, distractors: float, columns: Columns, strip: Strip) -> None:
    """Write the cells of some columns into a strip of walls.

    Args:
        state: State of N corridors.
        distractors: Probability of a meaningless ball beside a column.
        columns: Columns to fill in, int32 `[W, N]`.
        strip: Their cells, walls at first, uint32 `[3, W, N]`.
    """
    last = state.length + 2 * (state.num_cues - 1)
    np.copyto(strip[1], EMPTY, where=(columns >= 0) & (columns <= last))
    if distractors > 0:
        _fill_distractors(state, distractors, columns, strip)
    _fill_cues(state, columns, strip)
    _fill_junctions(state, columns, strip)


def _fill_cues(state: CorridorState, columns: Columns, strip: Strip) -> None:
    """Write the cue balls, which remain for the whole episode."""
    window, row = np.nonzero((columns >= 0) & (columns < state.num_cues))
    which = columns[window, row].astype(np.uint64)
    strip[0, window, row] = BALLS[(state.cues[row] >> which & _ONE).astype(np.intp)]


def _fill_junctions(state: CorridorState, columns: Columns, strip: Strip) -> None:
    """Write the balls of the junctions that are not solved yet, and the doors between them."""
    beyond = columns - state.length
    last = 2 * (state.num_cues - 1)
    window, row = np.nonzero((beyond >= 2 * state.solved) & (beyond <= last))
    place = beyond[window, row]
    door = (place & 1).astype(np.bool_)
    strip[1, window[door], row[door]] = CLOSED_DOOR
    window, row, place = window[~door], row[~door], place[~door]
    north = (state.sides[row] >> (place >> 1).astype(np.uint64) & _ONE).astype(np.intp)
    strip[0, window, row] = BALLS[north]
    strip[2, window, row] = BALLS[1 - north]


def _fill_distractors(
    state: CorridorState, distractors: float, columns: Columns, strip: Strip
) -> None:
    """Write the meaningless balls, each a hash of the episode's key and the column."""
    bits = draw(state.key, columns.astype(np.int64) + _FIRST_DRAW)
    present = chance(bits, distractors)
    present &= (columns >= state.num_cues) & (columns <= state.length - 2)
    balls = BALLS.take((bits & _ONE).astype(np.intp))
    south = (bits & np.uint64(2)).astype(np.bool_)
    np.copyto(strip[0], balls, where=present & ~south)
    np.copyto(strip[2], balls, where=present & south)
