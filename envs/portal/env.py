"""The Portal's rules, as array code over N mazes and as a single environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import Space

from envs.array_env import ArrayVectorEnv, SingleView
from envs.array_env.arrays import BoolArray, FloatArray, Frame, IntArray, Rows
from envs.draws import UIntArray, draw, permutations
from envs.minigrid_view import (
    DOORS,
    EAST,
    EMPTY,
    FORWARD,
    GOAL,
    SIGNS,
    SOUTH,
    STEP_X,
    TURN,
    WALL,
    StripView,
    image_space,
    render_window,
)
from envs.portal.ceiling import expected_return
from envs.portal.options import PortalOptions
from envs.portal.oracle import PortalOracle
from envs.portal.state import PortalState

FRAME_COLUMNS = 15

# Draws of an episode's key.
_LOOKS, _RIGHT = 1000, 5000


class PortalVectorEnv(ArrayVectorEnv):
    """N mazes of rooms in a row, each with one door to the next room and one back to the start.

    ## Description
    Every room has two doors of different colours. One leads to the next room, the other back to the
    first; which one is drawn at random for every episode. The agent learns it by trying, and should
    not make the same mistake twice.

    ## World
    A room is `room_length` columns of row 1, with doors in rows 0 and 2 of the last column and a
    sign in row 0 of the first column. All other cells are walls, and nothing of another room can be
    seen. The agent enters in the first column, facing east. With `distinct`, no two rooms of a maze
    have the same sign and doors; without it, all rooms but the first look alike and have to be
    counted. The sign of the first room is a green goal, so that the agent recognises it.

    ## Actions
    `Discrete(3)`: 0 turn left, 1 turn right, 2 forward (MiniGrid's). Going forward into a door
    passes through it; signs and walls block.

    ## Observations
    MiniGrid's egocentric image, `uint8 [view_size, view_size, 3]` of (type, colour, state), with
    see-through walls.

    ## Rewards
    1 for each room passed for the first time: a perfect episode returns `rooms`.

    ## Episode end
    Terminated when the last room is passed, or after `step_limit` steps. The limit is part of the
    task, as no room counts after it. Never truncated.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `rl_expire.relevant` (bool: the observation shows for the first time where a door of a room
    leads), `rooms` (int: rooms of the maze), `room` (int: the room that the agent is in), `reached`
    (int: rooms passed), `share` (float: rooms passed, divided by the number that perfect memory
    passes on average), `rl_expire.decision` (bool: the agent is between the doors), `success`
    (bool: all rooms passed, on the last step).

    ## Options
    See `PortalOptions`. Registered as `RLExpire/Portal-v0`.
    """

    changeable = ("rooms",)
    capped = ("rooms",)
    limit_terminates = True
    options_type = PortalOptions
    options: PortalOptions

    def _prepare(self) -> tuple[Space[Any], int]:
        """Set up view and state; return the observation space and the number of actions."""
        self._view = StripView(self.options.view_size)
        self._state = PortalState.zeros(self.num_envs, self.options.rooms)
        return image_space(self.options.view_size), 3

    def oracle(self) -> PortalOracle:
        """Return a scripted policy that solves these N mazes from observations alone."""
        return PortalOracle(self.num_envs, self._most_rooms, self.options.room_length)

    def expected_return(self) -> float:
        """Return the exact mean return of perfect memory (see `envs.portal.ceiling`)."""
        options = self.options
        return expected_return(options.rooms, options.crossing, options.episode_length)

    @property
    def _most_rooms(self) -> int:
        """Number of rooms that the arrays of the state have space for."""
        return self._state.sign.shape[1]

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Draw signs and doors; put the agents into the first room."""
        state, options = self._state, self.options
        state.x[rows] = state.room[rows] = state.reached[rows] = 0
        state.direction[rows] = EAST
        state.rooms[rows], state.ceiling[rows] = options.rooms, self.expected_return()
        state.known[rows] = False
        state.revealed[rows] = state.success[rows] = False
        look = self._draw_looks(keys)
        pair = look // len(SIGNS)
        north, other = pair // (options.colours - 1), pair % (options.colours - 1)
        state.sign[rows] = look % len(SIGNS)
        state.doors[rows, :, 0] = north
        state.doors[rows, :, 1] = other + (other >= north)
        rooms = np.arange(self._most_rooms)
        state.right[rows] = draw(keys[:, None], _RIGHT + rooms) & np.uint64(1)
        return np.full(len(rows), options.episode_length)

    def _draw_looks(self, keys: UIntArray) -> IntArray:
        """Draw the looks of all rooms `[M, R]`: all different, or all the same."""
        order = permutations(draw(keys[:, None], _LOOKS + np.arange(self.options.looks)))
        rooms = self._most_rooms
        return order[:, :rooms] if self.options.distinct else np.repeat(order[:, :1], rooms, axis=1)

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Turn and move the agents, then take them through the doors that they walk into."""
        state = self._state
        forward = actions == FORWARD
        state.direction += TURN.take(actions)
        state.direction &= 3
        state.x += STEP_X.take(state.direction) * forward
        np.clip(state.x, 0, self.options.room_length - 1, out=state.x)
        state.revealed[:] = state.success[:] = False
        reward = np.zeros(self.num_envs)
        sideways = (state.direction & 1).astype(np.bool_)
        through = np.flatnonzero(forward & sideways & (state.x == self.options.room_length - 1))
        if through.size:
            reward[through] = self._pass(through)
        return reward, state.success.copy()

    def _pass(self, rows: IntArray) -> FloatArray:
        """Take the agents `rows` `[M]` through the doors that they face; return the rewards."""
        state = self._state
        room = state.room[rows]
        south = state.direction[rows] == SOUTH
        right = south == state.right[rows, room]
        state.revealed[rows] = ~state.known[rows, room]
        state.known[rows, room] = True
        state.room[rows] = np.where(right, room + 1, 0)
        state.x[rows] = 0
        state.direction[rows] = EAST
        first = state.room[rows] > state.reached[rows]
        state.reached[rows] += first
        state.success[rows] = state.room[rows] == state.rooms[rows]
        return first.astype(np.float64)

    def _observe(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """Return the egocentric views."""
        state = self._state.select(rows)
        return self._view.see(state.x, state.direction, partial(self._fill, state, state.room))

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Return the entries listed under "Info" in the class docstring."""
        state = self._state.select(rows)
        through = state.room == state.rooms
        return {
            "rl_expire.relevant": state.revealed & ~through,
            "rooms": state.rooms.astype(np.int64),
            "room": state.room.astype(np.int64),
            "reached": state.reached.astype(np.int64),
            "share": state.reached / state.ceiling,
            "rl_expire.decision": (state.x == self.options.room_length - 1) & ~through,
            "success": state.success.copy(),
        }

    def _fill(
        self,
        state: PortalState,
        room: npt.NDArray[np.int32],
        columns: npt.NDArray[np.int32],
        strip: npt.NDArray[np.uint32],
    ) -> None:
        """Write the cells of `columns` `[W, N]` of `room` `[N]` into walls, `[3, W, N]`."""
        np.copyto(strip[1], EMPTY, where=(columns >= 0) & (columns < self.options.room_length))
        inside = room < state.rooms
        window, row = np.nonzero((columns == 0) & inside)
        sign = SIGNS.take(state.sign[row, room[row]])
        strip[0, window, row] = np.where(room[row] == 0, GOAL, sign)
        window, row = np.nonzero((columns == self.options.room_length - 1) & inside)
        doors = DOORS.take(state.doors[row, room[row]])
        strip[0, window, row], strip[2, window, row] = doors[:, 0], doors[:, 1]

    def _frame(self, row: int) -> Frame:
        """Render the room of the agent and its neighbours."""
        state = self._state.select(np.array([row]))
        # Rooms are drawn so far apart that the view, highlighted, does not reach the next.
        middle, width = FRAME_COLUMNS // 2, self.options.room_length + self._view.view_size - 1
        words = np.full((5, FRAME_COLUMNS), WALL, np.uint32)
        start = int(state.room[0]) * width + int(state.x[0]) - middle
        for column in range(FRAME_COLUMNS):
            room, x = divmod(start + column, width)
            if 0 <= room < state.rooms[0] and x < self.options.room_length:
                strip = words[1:4, column].reshape(3, 1, 1)
                self._fill(state, np.array([room], np.int32), np.array([[x]], np.int32), strip)
        return render_window(words, (middle, 2), int(state.direction[0]), self._view.view_size)


class PortalEnv(SingleView):
    """One maze, a view of `PortalVectorEnv`, which describes the task."""

    vector_class = PortalVectorEnv
    title = "RLExpire/Portal-v0"
    action_names = ("left", "right", "forward")
