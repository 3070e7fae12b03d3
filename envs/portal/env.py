"""The Portal maze: remember, room by room, which of two doors leads on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.array_env.batch import (
    ArrayVectorEnv,
    BatchState,
    BoolArray,
    FloatArray,
    Frame,
    IntArray,
    Rows,
    SingleView,
)
from envs.draws import UIntArray, draw, orders
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
from envs.portal.oracle import PortalOracle

MOST_ROOMS = 500  # every room of a maze can look different: there are more looks than that
COLOURS = len(DOORS)
FRAME_COLUMNS = 15

# Draws of an episode's key.
_LOOKS, _RIGHT = 1000, 5000


@dataclass
class PortalState(BatchState):
    """What N mazes hold: arrays `[N, ...]`, R rooms each."""

    x: npt.NDArray[np.int32]
    """The agent's column in its room; it always walks on the middle row."""
    direction: npt.NDArray[np.int32]
    """Where it faces, MiniGrid's 0 (east) to 3 (north)."""
    room: npt.NDArray[np.int32]
    """The room it is in; R once it is through."""
    rooms: npt.NDArray[np.int32]
    """Rooms of the maze."""
    ceiling: npt.NDArray[np.float64]
    """How many of them perfect memory passes on average."""
    reached: npt.NDArray[np.int32]
    """The furthest room so far."""
    sign: npt.NDArray[np.uint8]
    """`[N, R]`, the sign of each room."""
    doors: npt.NDArray[np.uint8]
    """`[N, R, 2]`, colours of the north and the south door."""
    right: npt.NDArray[np.uint8]
    """`[N, R]`, the door that leads on: 0 north, 1 south."""
    known: BoolArray
    """`[N, R]`, whether a door of the room has been tried."""
    revealed: BoolArray
    """Whether the last step has shown what a door does, of which nothing was known."""
    success: BoolArray
    """Whether the last room has just been passed."""

    @classmethod
    def zeros(cls, count: int, rooms: int) -> PortalState:
        """Makes the state of `count` mazes that have not begun."""
        return cls(
            x=np.zeros(count, np.int32),
            direction=np.zeros(count, np.int32),
            room=np.zeros(count, np.int32),
            rooms=np.ones(count, np.int32),
            ceiling=np.ones(count),
            reached=np.zeros(count, np.int32),
            sign=np.zeros((count, rooms), np.uint8),
            doors=np.zeros((count, rooms, 2), np.uint8),
            right=np.zeros((count, rooms), np.uint8),
            known=np.zeros((count, rooms), np.bool_),
            revealed=np.zeros(count, np.bool_),
            success=np.zeros(count, np.bool_),
        )


class PortalVectorEnv(ArrayVectorEnv):
    """N mazes of rooms in a row, in each of which one door leads on and one back to the start.

    ## Description
    Every room has two doors of different colours. One leads to the next room, the other to the
    first; which is drawn for every episode, so the agent learns it by trying, and should never
    make the same mistake again.

    ## World
    A room is `room_length` columns of row 1, with the doors in rows 0 and 2 of the last column and
    a sign in row 0 of the first; all else is wall, and nothing of another room can be seen. The
    agent enters in the first column, facing east. With `distinct` no two rooms of a maze have the
    same sign and doors; without, all but the first look alike, and rooms have to be counted. The
    first room has a green goal for a sign, so that it is known again.

    ## Actions
    `Discrete(3)`: 0 turn left, 1 turn right, 2 forward (MiniGrid's). Going forward into a door
    passes through it; signs and walls block.

    ## Observations
    MiniGrid's egocentric image, `uint8 [view_size, view_size, 3]` of (type, colour, state), with
    see-through walls.

    ## Rewards
    1 for each room passed for the first time: a perfect episode returns `rooms`.

    ## Episode end
    Terminated when the last room is passed, and after `step_limit` steps: the limit is part of the
    task, and a room passed after it counts for nothing. Never truncated.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `relevant` (bool: the observation shows where a door leads of which nothing was known),
    `rooms` (int: rooms of the maze), `room` (int: the one the agent is in), `reached` (int: rooms
    passed), `share` (float: rooms passed, of those that perfect memory passes on average),
    `decision` (bool: the agent stands between the doors), `success` (bool: all rooms passed, on the
    last step).

    Registered as `RLExpire/Portal-v0`.
    """

    limit_terminates = True

    def __init__(
        self,
        num_envs: int = 1,
        rooms: int = 10,
        colours: int = 6,
        room_length: int = 2,
        distinct: bool = True,
        step_limit: int | None = None,
        view_size: int = 5,
        render_mode: str | None = None,
    ) -> None:
        """Prepares N mazes.

        Args:
            num_envs: Number of environments, N.
            rooms: Rooms in a row, R; 50 is the scale of the paper.
            colours: Colours that doors are drawn from.
            room_length: Columns of a room.
            distinct: Whether every room of a maze looks different.
            step_limit: Steps of an episode; None: a third more than perfect memory needs on
                average.
            view_size: Side of the square view, in cells; odd, at least 3.
            render_mode: None or "rgb_array".

        Raises:
            ValueError: If an option is impossible; the message names it and the remedy.
        """
        if not 2 <= colours <= COLOURS:
            raise ValueError(f"colours={colours} is impossible: give 2 to {COLOURS}")
        if room_length < 2:
            raise ValueError(f"room_length={room_length} is impossible: give 2 or more")
        if step_limit is not None and step_limit < 1:
            raise ValueError(f"step_limit={step_limit} is impossible: give 1 or more")
        self._looks = len(SIGNS) * colours * (colours - 1)
        self.colours, self.room_length, self.distinct = colours, room_length, distinct
        self._step_limit = step_limit
        self._check_rooms(rooms)
        self._rooms = rooms
        super().__init__(num_envs, image_space(view_size), 3, render_mode)
        self.view_size = view_size
        self._view = StripView(view_size)
        self._state = PortalState.zeros(num_envs, rooms)

    def change(self, *, rooms: int) -> None:
        """Changes the number of rooms from each environment's next episode on.

        Args:
            rooms: Rooms in a row, at most as many as there were at first.

        Raises:
            ValueError: If that is impossible; all stays as it was.
        """
        self._check_rooms(rooms)
        most = self._state.sign.shape[1]
        if rooms > most:
            raise ValueError(f"rooms={rooms} is impossible: give at most {most}, as at first")
        self._rooms = rooms

    @property
    def rooms(self) -> int:
        """Rooms of the mazes to come."""
        return self._rooms

    @property
    def step_limit(self) -> int:
        """Steps of the episodes to come."""
        if self._step_limit is not None:
            return self._step_limit
        return ceil(4 / 3 * self.crossing * (self.rooms + self.rooms * (self.rooms + 1) / 4))

    @property
    def crossing(self) -> int:
        """Steps from the entrance of a room through one of its doors."""
        return self.room_length + 1

    def oracle(self) -> PortalOracle:
        """Makes the scripted policy that goes through these N mazes from observations alone."""
        return PortalOracle(self.num_envs, self._state.sign.shape[1], self.room_length)

    def expected_return(self) -> float:
        """Computes the mean return of perfect memory, exactly (see `portal_ceiling`)."""
        return expected_return(self.rooms, self.crossing, self.step_limit)

    def _check_rooms(self, rooms: int) -> None:
        """Refuses mazes that do not exist, or whose rooms cannot all look different."""
        most = min(MOST_ROOMS, self._looks) if self.distinct else MOST_ROOMS
        if not 1 <= rooms <= most:
            raise ValueError(f"rooms={rooms} is impossible here: give 1 to {most}")

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        state = self._state
        state.x[rows] = state.room[rows] = state.reached[rows] = 0
        state.direction[rows] = EAST
        state.rooms[rows], state.ceiling[rows] = self.rooms, self.expected_return()
        state.known[rows] = False
        state.revealed[rows] = state.success[rows] = False
        look = self._draw_looks(keys)
        pair = look // len(SIGNS)
        north, other = pair // (self.colours - 1), pair % (self.colours - 1)
        state.sign[rows] = look % len(SIGNS)
        state.doors[rows, :, 0] = north
        state.doors[rows, :, 1] = other + (other >= north)
        rooms = np.arange(state.right.shape[1])
        state.right[rows] = draw(keys[:, None], _RIGHT + rooms) & np.uint64(1)
        return np.full(len(rows), self.step_limit)

    def _draw_looks(self, keys: UIntArray) -> IntArray:
        """Draws the looks of all rooms `[M, R]`: all different, or all the same."""
        order = orders(draw(keys[:, None], _LOOKS + np.arange(self._looks)))
        rooms = self._state.sign.shape[1]
        return order[:, :rooms] if self.distinct else np.repeat(order[:, :1], rooms, axis=1)

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        state = self._state
        forward = actions == FORWARD
        state.direction += TURN.take(actions)
        state.direction &= 3
        state.x += STEP_X.take(state.direction) * forward
        np.clip(state.x, 0, self.room_length - 1, out=state.x)
        state.revealed[:] = state.success[:] = False
        reward = np.zeros(self.num_envs)
        sideways = (state.direction & 1).astype(np.bool_)
        through = np.flatnonzero(forward & sideways & (state.x == self.room_length - 1))
        if through.size:
            reward[through] = self._pass(through)
        return reward, state.success.copy()

    def _pass(self, rows: IntArray) -> FloatArray:
        """Takes the agents `rows` `[M]` through the doors that they face; returns the rewards."""
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
        state = self._state.select(rows)
        return self._view.see(state.x, state.direction, partial(self._fill, state, state.room))

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        state = self._state.select(rows)
        through = state.room == state.rooms
        return {
            "relevant": state.revealed & ~through,
            "rooms": state.rooms.astype(np.int64),
            "room": state.room.astype(np.int64),
            "reached": state.reached.astype(np.int64),
            "share": state.reached / state.ceiling,
            "decision": (state.x == self.room_length - 1) & ~through,
            "success": state.success.copy(),
        }

    def _fill(
        self,
        state: PortalState,
        room: npt.NDArray[np.int32],
        columns: npt.NDArray[np.int32],
        strip: npt.NDArray[np.uint32],
    ) -> None:
        """Writes what stands in `columns` `[W, N]` of `room` `[N]` into walls `[3, W, N]`."""
        np.copyto(strip[1], EMPTY, where=(columns >= 0) & (columns < self.room_length))
        inside = room < state.rooms
        window, row = np.nonzero((columns == 0) & inside)
        sign = SIGNS.take(state.sign[row, room[row]])
        strip[0, window, row] = np.where(room[row] == 0, GOAL, sign)
        window, row = np.nonzero((columns == self.room_length - 1) & inside)
        doors = DOORS.take(state.doors[row, room[row]])
        strip[0, window, row], strip[2, window, row] = doors[:, 0], doors[:, 1]

    def _frame(self, row: int) -> Frame:
        state = self._state.select(np.array([row]))
        # Rooms are drawn so far apart that the view, highlighted, does not reach the next.
        middle, width = FRAME_COLUMNS // 2, self.room_length + self.view_size - 1
        words = np.full((5, FRAME_COLUMNS), WALL, np.uint32)
        start = int(state.room[0]) * width + int(state.x[0]) - middle
        for column in range(FRAME_COLUMNS):
            room, x = divmod(start + column, width)
            if 0 <= room < state.rooms[0] and x < self.room_length:
                strip = words[1:4, column].reshape(3, 1, 1)
                self._fill(state, np.array([room], np.int32), np.array([[x]], np.int32), strip)
        return render_window(words, (middle, 2), int(state.direction[0]), self.view_size)


class PortalEnv(SingleView):
    """One maze; see `PortalVectorEnv`, of which this is a view, for the task."""

    title = "RLExpire/Portal-v0"

    def __init__(
        self,
        rooms: int = 10,
        colours: int = 6,
        room_length: int = 2,
        distinct: bool = True,
        step_limit: int | None = None,
        view_size: int = 5,
        render_mode: str | None = None,
    ) -> None:
        """Prepares one maze.

        Args:
            rooms: Rooms in a row.
            colours: Colours that doors are drawn from.
            room_length: Columns of a room.
            distinct: Whether every room of a maze looks different.
            step_limit: Steps of an episode; None: a third more than perfect memory needs on
                average.
            view_size: Side of the square view, in cells; odd, at least 3.
            render_mode: None, "rgb_array" or "human".

        Raises:
            ValueError: If an option is impossible; the message names it and the remedy.
        """
        core = PortalVectorEnv(
            num_envs=1,
            rooms=rooms,
            colours=colours,
            room_length=room_length,
            distinct=distinct,
            step_limit=step_limit,
            view_size=view_size,
        )
        super().__init__(core, render_mode)
