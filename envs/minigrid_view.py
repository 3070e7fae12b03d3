"""MiniGrid's cell encoding, egocentric view and tiles, for worlds that are not stored as a grid.

A cell is one 32-bit word that holds MiniGrid's three bytes (type, colour, state), so that a view is
a single gather of words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box
from minigrid.core.constants import (
    COLOR_TO_IDX,
    DIR_TO_VEC,
    OBJECT_TO_IDX,
    STATE_TO_IDX,
    TILE_PIXELS,
)
from minigrid.core.grid import Grid
from minigrid.core.world_object import WorldObj

EAST, SOUTH, WEST, NORTH = range(4)
LEFT, RIGHT, FORWARD = range(3)
RED, BLUE, GREY = (COLOR_TO_IDX[name] for name in ("red", "blue", "grey"))

# Change of direction by action, and change of column by direction.
TURN = np.zeros(3, np.int32)
TURN[LEFT], TURN[RIGHT] = -1, 1
STEP_X = np.array([1, 0, -1, 0], np.int32)

# Largest value of each byte of a cell (type, colour, state); MiniGrid uses states 0 to 2 of 0 to 3.
LARGEST_BYTES = (max(OBJECT_TO_IDX.values()), max(COLOR_TO_IDX.values()), 3)


def cell(type_index: int, colour: int, state: int) -> np.uint32:
    """Pack MiniGrid's three bytes of a cell into one word.

    Args:
        type_index: MiniGrid's object type, 0 to 10.
        colour: MiniGrid's colour index, 0 to 5.
        state: MiniGrid's state index, 0 to 3.

    Returns:
        The word; its bytes in memory are the three values and a zero.
    """
    return np.array([type_index, colour, state, 0], np.uint8).view(np.uint32)[0]


WALL = cell(OBJECT_TO_IDX["wall"], GREY, 0)
EMPTY = cell(OBJECT_TO_IDX["empty"], 0, 0)
DOORS = np.array(
    [cell(OBJECT_TO_IDX["door"], n, STATE_TO_IDX["closed"]) for n in range(len(COLOR_TO_IDX))],
    np.uint32,
)
CLOSED_DOOR = DOORS[GREY]
SIGNS = np.array(
    [
        cell(OBJECT_TO_IDX[kind], colour, 0)
        for kind in ("ball", "key", "box")
        for colour in range(len(COLOR_TO_IDX))
    ],
    np.uint32,
)
GOAL = cell(OBJECT_TO_IDX["goal"], COLOR_TO_IDX["green"], 0)
BALLS = np.array([cell(OBJECT_TO_IDX["ball"], colour, 0) for colour in (RED, BLUE)], np.uint32)
COLOURED_BALLS = SIGNS[: len(COLOR_TO_IDX)]


def unpack(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Unpack cell words into MiniGrid's bytes.

    Args:
        words: Cells, uint32 `[...]`, contiguous.

    Returns:
        A new array, uint8 `[..., 3]`: type, colour, state.
    """
    parts = words.view(np.uint8).reshape(-1, 4)
    out = np.empty((parts.shape[0], 3), np.uint8)
    # One long strided copy per byte is several times faster than one copy of three bytes per cell.
    for byte in range(3):
        out[:, byte] = parts[:, byte]
    return out.reshape(*words.shape, 3)


def check_view_size(view_size: int) -> None:
    """Check the side of the square view, in cells.

    Raises:
        ValueError: If it is even or below 3.
    """
    if view_size < 3 or view_size % 2 == 0:
        raise ValueError(f"view_size={view_size} is impossible: give an odd number, 3 or more")


def image_space(view_size: int) -> Box:
    """Return the space of MiniGrid's egocentric images, uint8 `[view_size, view_size, 3]`."""
    high = np.broadcast_to(np.array(LARGEST_BYTES, np.uint8), (view_size, view_size, 3))
    return Box(np.zeros_like(high), high, dtype=np.uint8)


def view_offsets(view_size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the position of each cell of the egocentric view, relative to the agent.

    Args:
        view_size: Side of the square view, in cells; odd.

    Returns:
        Column and row offsets, each int64 `[4, view_size, view_size]`, by direction, then by
        MiniGrid's image axes: across (left to right) and depth (the agent is at the last).
    """
    ahead = np.array(DIR_TO_VEC)
    right = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    across = (np.arange(view_size) - view_size // 2)[None, :, None]
    depth = (view_size - 1 - np.arange(view_size))[None, None, :]
    dx, dy = (
        ahead[:, axis, None, None] * depth + right[:, axis, None, None] * across for axis in (0, 1)
    )
    return dx, dy


class StripView:
    """Egocentric view of a world of a few rows surrounded by walls, the agent on the middle row.

    The caller fills in the `view_size` columns that the view can reach, and `image` turns this
    strip of cells into the agent's view; `see` does both.
    """

    def __init__(self, view_size: int, half_height: int = 1) -> None:
        """Prepare the index tables.

        Args:
            view_size: Side of the square view, in cells; odd, at least 3.
            half_height: Number of rows above, and below, the agent's row; cells beyond are walls.
        """
        dx, dy = view_offsets(view_size)
        rows = 2 * half_height + 1
        self.view_size = view_size
        self.shape = (rows, view_size)
        # Leftmost column of the strip, relative to the agent, for each direction [4].
        self.first_column = dx.min(axis=(1, 2)).astype(np.int32)
        column = dx - self.first_column[:, None, None]
        inside = np.abs(dy) <= half_height
        outside_index = rows * view_size  # the extra cell of `blank`, which remains a wall
        index = np.where(inside, (dy + half_height) * view_size + column, outside_index)
        self._table = index.reshape(4, view_size * view_size)
        self._columns = np.arange(view_size, dtype=np.int32)[:, None]

    def see(
        self,
        x: npt.NDArray[np.int32],
        direction: npt.NDArray[np.int32],
        fill: Callable[[npt.NDArray[np.int32], npt.NDArray[np.uint32]], None],
    ) -> npt.NDArray[np.uint8]:
        """Return the agents' views.

        Args:
            x: The agents' columns `[N]`.
            direction: The agents' directions `[N]`, MiniGrid's 0 to 3.
            fill: Called with the columns in view `[view_size, N]` and a strip of walls, uint32
                `[rows, view_size, N]`; writes the cells of these columns into the strip.

        Returns:
            Views as returned by `image`.
        """
        columns = self._columns + (x + self.first_column.take(direction))
        strip = self.blank(x.size)
        fill(columns, strip[:-1].reshape(self.shape[0], *columns.shape))
        return self.image(strip, direction)

    def blank(self, count: int) -> npt.NDArray[np.uint32]:
        """Return strips of walls to be filled in.

        Args:
            count: Number of strips, N.

        Returns:
            Words, uint32 `[rows * view_size + 1, N]`: the strip's cells row by row, which may be
            overwritten, and a last one that must remain a wall.
        """
        return np.full((self.shape[0] * self.view_size + 1, count), WALL, np.uint32)

    def image(
        self, strip: npt.NDArray[np.uint32], direction: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.uint8]:
        """Turn strips into views.

        Args:
            strip: Words as laid out by `blank`, uint32 `[rows * view_size + 1, N]`.
            direction: The agents' directions `[N]`, MiniGrid's 0 to 3.

        Returns:
            A new array, uint8 `[N, view_size, view_size, 3]`, equal to MiniGrid's `gen_obs` image
            with see-through walls.
        """
        count = strip.shape[1]
        index = self._table.take(direction, axis=0)
        index *= count
        index += np.arange(count)[:, None]
        # The indices are in range by construction; "clip" skips NumPy's check.
        words = strip.reshape(-1).take(index, mode="clip")
        return unpack(words).reshape(count, self.view_size, self.view_size, 3)


def render_window(
    words: npt.NDArray[np.uint32],
    agent: tuple[int, int],
    direction: int,
    view_size: int,
    tile_size: int = TILE_PIXELS,
) -> npt.NDArray[np.uint8]:
    """Render a window of the world with MiniGrid's own tiles, the agent's view highlighted.

    Args:
        words: Cells of the window, uint32 `[rows, columns]`.
        agent: The agent's column and row in the window.
        direction: The agent's direction, MiniGrid's 0 to 3.
        view_size: Side of the agent's view, in cells.
        tile_size: Side of a cell, in pixels.

    Returns:
        The frame, uint8 `[rows * tile_size, columns * tile_size, 3]`.
    """
    height, width = words.shape
    dx, dy = view_offsets(view_size)
    seen_x, seen_y = agent[0] + dx[direction], agent[1] + dy[direction]
    inside = (seen_x >= 0) & (seen_x < width) & (seen_y >= 0) & (seen_y < height)
    highlight = np.zeros((height, width), np.bool_)
    highlight[seen_y[inside], seen_x[inside]] = True
    return _grid_of(words).render(tile_size, agent, direction, highlight.T)


def render_cells(
    words: npt.NDArray[np.uint32], highlight: npt.NDArray[np.bool_], tile_size: int = TILE_PIXELS
) -> npt.NDArray[np.uint8]:
    """Render a world without an agent with MiniGrid's own tiles.

    Args:
        words: Cells, uint32 `[rows, columns]`.
        highlight: Which cells to light up, `[rows, columns]`.
        tile_size: Side of a cell, in pixels.

    Returns:
        The frame, uint8 `[rows * tile_size, columns * tile_size, 3]`.
    """
    return _grid_of(words).render(tile_size, (-1, -1), highlight_mask=highlight.T)


def _grid_of(words: npt.NDArray[np.uint32]) -> Grid:
    """Return MiniGrid's grid of cells, uint32 `[rows, columns]`."""
    height, width = words.shape
    grid = Grid(width, height)
    cells = unpack(np.ascontiguousarray(words))
    for y, x in np.argwhere(words != EMPTY):
        grid.set(int(x), int(y), WorldObj.decode(*(int(part) for part in cells[y, x])))
    return grid
