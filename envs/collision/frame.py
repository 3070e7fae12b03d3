"""Pictures of the Collision task, with MiniGrid's tiles."""

from __future__ import annotations

import numpy as np

from envs.array_env.arrays import Frame
from envs.collision.state import CollisionState
from envs.minigrid_view import COLOURED_BALLS, EMPTY, WALL, render_cells

TILE = 16
"""Side of a cell, in pixels."""


def draw_frame(state: CollisionState, row: int, grid: int, colours: int) -> Frame:
    """Draw the arena of environment `row` in walls, and its question in the wall below.

    A cell with a collision is lit up.

    Args:
        state: State of N arenas.
        row: The environment to draw.
        grid: Side of the grid that the arena is in the middle of.
        colours: Number of colours.

    Returns:
        The frame, uint8 `[(grid + 4) * TILE, (grid + 2) * TILE, 3]`.
    """
    words = np.full((grid + 4, grid + 2), WALL, np.uint32)
    size = int(state.size[row])
    margin = 1 + (grid - size) // 2
    words[margin : margin + size, margin : margin + size] = EMPTY
    x, y = (cells[0] + margin for cells in state.cells(np.array([row])))
    words[y, x] = COLOURED_BALLS[state.colour[row]]
    middle = grid // 2
    words[-2, middle : middle + 2] = COLOURED_BALLS[list(divmod(int(state.question[row]), colours))]
    taken = np.zeros(words.shape, np.int64)
    np.add.at(taken, (y, x), 1)
    return render_cells(words, highlight=taken > 1, tile_size=TILE)
