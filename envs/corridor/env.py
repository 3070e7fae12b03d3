"""The Corridor: remember the ball at the start until the choice at the far end.

Nothing of a corridor is stored but its length and a key: what stands in a column is computed when
it comes into view, so memory and time per step do not depend on how long corridors are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
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
from envs.corridor.oracle import CorridorOracle
from envs.draws import UIntArray, chance, draw, integers
from envs.minigrid_view import (
    BALLS,
    CLOSED_DOOR,
    EAST,
    EMPTY,
    FORWARD,
    SOUTH,
    STEP_X,
    TURN,
    WALL,
    StripView,
    image_space,
    render_window,
)

LONGEST = 100_000_000  # columns and step limits stay within 32 bits
MOST_CUES = 64  # their colours are bits of one 64-bit draw
FRAME_COLUMNS = 15

# Draws of an episode's key.
_LENGTH, _CUES, _SIDES, _COLUMNS = 0, 1, 2, 1000

_ONE = np.uint64(1)


@dataclass
class CorridorState(BatchState):
    """What N corridors hold: arrays `[N]`."""

    x: npt.NDArray[np.int32]
    """The agent's column; it always walks on the middle row."""
    direction: npt.NDArray[np.int32]
    """Where it faces, MiniGrid's 0 (east) to 3 (north)."""
    length: npt.NDArray[np.int32]
    """Column of the first junction."""
    num_cues: npt.NDArray[np.int32]
    """Cues, and junctions."""
    solved: npt.NDArray[np.int32]
    """Junctions solved so far."""
    key: UIntArray
    """The episode's key."""
    cues: UIntArray
    """Bit k is the colour of cue k: 0 red, 1 blue."""
    sides: UIntArray
    """Bit k is the colour of junction k's north ball; the south one has the other."""
    success: BoolArray
    """Whether the last junction has just been solved."""

    @classmethod
    def zeros(cls, count: int) -> CorridorState:
        """Makes the state of `count` corridors that have not begun."""
        return cls(
            x=np.zeros(count, np.int32),
            direction=np.zeros(count, np.int32),
            length=np.zeros(count, np.int32),
            num_cues=np.ones(count, np.int32),
            solved=np.zeros(count, np.int32),
            key=np.zeros(count, np.uint64),
            cues=np.zeros(count, np.uint64),
            sides=np.zeros(count, np.uint64),
            success=np.zeros(count, np.bool_),
        )


@dataclass(frozen=True)
class CorridorSize:
    """How large corridors may be."""

    min_length: int = 3
    max_length: int = 200
    num_cues: int = 1

    def check(self) -> None:
        """Refuses lengths at which cues and junctions would overlap, or that are no range."""
        if not 1 <= self.num_cues <= MOST_CUES:
            raise ValueError(f"num_cues={self.num_cues} is impossible: give 1 to {MOST_CUES}")
        for name in ("min_length", "max_length"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)):
                raise ValueError(f"{name}={value!r} is no integer: give a whole number of columns")
        least = self.num_cues + 1
        if self.min_length < least:
            raise ValueError(
                f"min_length={self.min_length} is too short for num_cues={self.num_cues}: "
                f"give min_length >= {least}"
            )
        if self.max_length < self.min_length:
            raise ValueError(
                f"max_length={self.max_length} is below min_length={self.min_length}: "
                f"give max_length >= {self.min_length}"
            )
        if self.max_length > LONGEST:
            raise ValueError(f"max_length={self.max_length} is too long: give at most {LONGEST}")


class CorridorVectorEnv(ArrayVectorEnv):
    """N corridors, each with a cue at one end and a choice that depends on it at the other.

    ## Description
    The agent starts at the west end of a corridor, beside a red or a blue ball that soon leaves its
    view. At the far end it meets one red and one blue ball, and must take the one it saw. With
    several cues there are as many junctions, to be solved in order, with doors between them that
    open one by one.

    A walkway carries it to the first junction, one column a step, whatever it does. An agent that
    walks by itself can leave notes in how it walks, such as a turn to and fro every ten steps for
    blue, and needs to remember ten steps instead of the corridor: see `docs/LOG.md`.

    ## World
    Rows 0, 1, 2; the agent walks on row 1. Cue k stands at (k, 0). Junction k is column
    `length + 2k`, with a red and a blue ball at rows 0 and 2, sides drawn; the column after it is a
    closed door until it is solved, when its alcoves become walls. All else is wall.

    ## Actions
    `Discrete(3)`: 0 turn left, 1 turn right, 2 forward (MiniGrid's). Going forward into a ball of
    a junction not yet solved takes it; other balls, walls, closed doors and the end of the walkway
    block. On the walkway actions have no effect.

    ## Observations
    MiniGrid's egocentric image, `uint8 [view_size, view_size, 3]` of (type, colour, state), with
    see-through walls: axis 0 from left to right, axis 1 from far to near, the agent in the middle
    of the near edge, looking to lower indices of axis 1.

    ## Rewards
    1 for each junction solved, so that a perfect episode returns `num_cues`; `wrong_reward` for a
    ball of the wrong colour.

    ## Episode end
    Terminated when the last junction is solved or a wrong ball is taken; truncated after
    `3 * (length + 2 * (num_cues - 1)) + 20` steps.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `relevant` (bool: the observation shows the cue of a junction not yet solved),
    `length` (int: column of the first junction), `decision` (bool: the agent stands at a junction
    not yet solved), `choice` (bool: the action makes a difference, as it does not on the walkway),
    `success` (bool: all junctions solved, on the last step).

    Registered as `RLExpire/Corridor-v0`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        min_length: int = 3,
        max_length: int = 200,
        num_cues: int = 1,
        distractors: float = 0.0,
        wrong_reward: float = 0.0,
        view_size: int = 5,
        walkway: bool = True,
        render_mode: str | None = None,
    ) -> None:
        """Prepares N corridors.

        Args:
            num_envs: Number of environments, N.
            min_length: Shortest corridor, in columns from the start to the first junction.
            max_length: Longest corridor; lengths are drawn uniformly from both and all between.
            num_cues: Balls to remember, and junctions to solve.
            distractors: Probability of a meaningless ball beside each column between the cues and
                the junctions.
            wrong_reward: Reward for taking a ball of the wrong colour.
            view_size: Side of the square view, in cells; odd, at least 3.
            walkway: Whether the agent is carried to the first junction, or walks there by itself.
            render_mode: None or "rgb_array".

        Raises:
            ValueError: If an option is impossible; the message names it and the remedy.
        """
        if not 0.0 <= distractors <= 1.0:
            raise ValueError(f"distractors={distractors} is no probability: give 0 to 1")
        if not np.isfinite(wrong_reward):
            raise ValueError(f"wrong_reward={wrong_reward} is not finite: give a plain number")
        super().__init__(num_envs, image_space(view_size), 3, render_mode)
        self.distractors = distractors
        self.wrong_reward = wrong_reward
        self.view_size = view_size
        self.walkway = walkway
        self._size = CorridorSize(min_length, max_length, num_cues)
        self._size.check()
        self._view = StripView(view_size)
        self._state = CorridorState.zeros(num_envs)

    def change(self, **options: int) -> None:
        """Changes options from each environment's next episode on.

        Args:
            options: Any of `min_length`, `max_length` and `num_cues`.

        Raises:
            ValueError: If one is impossible beside the others; all stay as they were.
            TypeError: If another option is given.
        """
        new = CorridorSize(**(vars(self._size) | options))
        new.check()
        self._size = new

    @property
    def min_length(self) -> int:
        """Shortest corridor of the episodes to come."""
        return self._size.min_length

    @property
    def max_length(self) -> int:
        """Longest corridor of the episodes to come."""
        return self._size.max_length

    @property
    def num_cues(self) -> int:
        """Balls to remember in the episodes to come."""
        return self._size.num_cues

    def oracle(self) -> CorridorOracle:
        """Makes the scripted policy that solves these N corridors from observations alone."""
        return CorridorOracle(self.num_envs, self.num_cues)

    def expected_return(self) -> float:
        """Computes the mean return of perfect memory: every junction solved."""
        return float(self.num_cues)

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        state = self._state
        size = self._size
        length = integers(keys, _LENGTH, size.min_length, size.max_length)
        state.x[rows] = 0
        state.direction[rows] = EAST
        state.length[rows] = length
        state.num_cues[rows] = size.num_cues
        state.solved[rows] = 0
        state.key[rows] = keys
        state.cues[rows] = draw(keys, _CUES)
        state.sides[rows] = draw(keys, _SIDES)
        state.success[rows] = False
        return 3 * (length + 2 * (size.num_cues - 1)) + 20

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        state = self._state
        forward = actions == FORWARD
        turn = TURN.take(actions)
        direction, x = state.direction, state.x
        west_end: npt.NDArray[np.int32] | int = 0
        if self.walkway:
            carried = x < state.length
            forward |= carried
            turn[carried] = 0
            west_end = np.where(carried, x, state.length)
        direction += turn
        direction &= 3
        junction = self._junction(state)
        # The next junction's door is the only thing on the way, and it opens when solved.
        x += STEP_X.take(direction) * forward
        np.clip(x, west_end, junction, out=x)
        reward = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, np.bool_)
        state.success[:] = False
        sideways = (direction & 1).astype(np.bool_)
        taking = np.flatnonzero(forward & sideways & (x == junction))
        if taking.size:
            reward[taking], terminated[taking] = self._take(taking)
        return reward, terminated

    def _take(self, rows: IntArray) -> tuple[FloatArray, BoolArray]:
        """Takes the balls that the agents `rows` `[M]` face; returns reward and terminated."""
        state = self._state
        which = state.solved[rows].astype(np.uint64)
        cue = (state.cues[rows] >> which) & _ONE
        north = (state.sides[rows] >> which) & _ONE
        faces_south = (state.direction[rows] == SOUTH).astype(np.uint64)
        right = (north ^ faces_south) == cue
        state.solved[rows] += right
        state.success[rows] = right & (state.solved[rows] == state.num_cues[rows])
        reward = np.where(right, 1.0, self.wrong_reward)
        return reward, state.success[rows] | ~right

    def _observe(self, rows: Rows) -> npt.NDArray[np.uint8]:
        state = self._state.select(rows)
        return self._view.see(state.x, state.direction, partial(self._fill, state))

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        state = self._state.select(rows)
        first = state.x + self._view.first_column.take(state.direction)
        # Cues stand in the columns 0 to num_cues - 1 north of the agent: not in view facing south.
        relevant = (first < state.num_cues) & (first > state.solved - self.view_size)
        relevant &= (state.direction != SOUTH) & (state.solved < state.num_cues)
        return {
            "relevant": relevant,
            "length": state.length.astype(np.int64),
            "decision": (state.x == self._junction(state)) & (state.solved < state.num_cues),
            "choice": (state.x >= state.length) if self.walkway else np.ones_like(relevant),
            "success": state.success.copy(),
        }

    def _junction(self, state: CorridorState) -> npt.NDArray[np.int32]:
        """Column of the next junction to be solved `[N]`; as far as the agent can walk."""
        return state.length + 2 * np.minimum(state.solved, state.num_cues - 1)

    def _fill(
        self,
        state: CorridorState,
        columns: npt.NDArray[np.int32],
        strip: npt.NDArray[np.uint32],
    ) -> None:
        """Writes what stands in `columns` `[W, N]` into a `strip` of walls `[3, W, N]`."""
        last = state.length + 2 * (state.num_cues - 1)
        np.copyto(strip[1], EMPTY, where=(columns >= 0) & (columns <= last))
        if self.distractors > 0:
            self._fill_distractors(state, columns, strip)
        self._fill_cues(state, columns, strip)
        self._fill_junctions(state, columns, strip)

    def _fill_cues(
        self,
        state: CorridorState,
        columns: npt.NDArray[np.int32],
        strip: npt.NDArray[np.uint32],
    ) -> None:
        """Writes the cue balls, which stay there for the whole episode."""
        window, row = np.nonzero((columns >= 0) & (columns < state.num_cues))
        which = columns[window, row].astype(np.uint64)
        strip[0, window, row] = BALLS[(state.cues[row] >> which & _ONE).astype(np.intp)]

    def _fill_junctions(
        self,
        state: CorridorState,
        columns: npt.NDArray[np.int32],
        strip: npt.NDArray[np.uint32],
    ) -> None:
        """Writes the balls of junctions not yet solved, and their doors."""
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
        self,
        state: CorridorState,
        columns: npt.NDArray[np.int32],
        strip: npt.NDArray[np.uint32],
    ) -> None:
        """Writes the balls that mean nothing; what stands where is a hash of key and column."""
        bits = draw(state.key, columns.astype(np.int64) + _COLUMNS)
        there = chance(bits, self.distractors)
        there &= (columns >= state.num_cues) & (columns <= state.length - 2)
        balls = BALLS.take((bits & _ONE).astype(np.intp))
        south = (bits & np.uint64(2)).astype(np.bool_)
        np.copyto(strip[0], balls, where=there & ~south)
        np.copyto(strip[2], balls, where=there & south)

    def _frame(self, row: int) -> Frame:
        state = self._state.select(np.array([row]))
        middle = FRAME_COLUMNS // 2
        columns = np.arange(FRAME_COLUMNS, dtype=np.int32)[:, None] - middle + state.x
        words = np.full((5, FRAME_COLUMNS, 1), WALL, np.uint32)
        self._fill(state, columns, words[1:4])
        return render_window(words[:, :, 0], (middle, 2), int(state.direction[0]), self.view_size)


class CorridorEnv(SingleView):
    """One corridor; see `CorridorVectorEnv`, of which this is a view, for the task."""

    title = "RLExpire/Corridor-v0"

    def __init__(
        self,
        min_length: int = 3,
        max_length: int = 200,
        num_cues: int = 1,
        distractors: float = 0.0,
        wrong_reward: float = 0.0,
        view_size: int = 5,
        walkway: bool = True,
        render_mode: str | None = None,
    ) -> None:
        """Prepares one corridor.

        Args:
            min_length: Shortest corridor, in columns from the start to the first junction.
            max_length: Longest corridor.
            num_cues: Balls to remember, and junctions to solve.
            distractors: Probability of a meaningless ball beside each column on the way.
            wrong_reward: Reward for taking a ball of the wrong colour.
            view_size: Side of the square view, in cells; odd, at least 3.
            walkway: Whether the agent is carried to the first junction, or walks there by itself.
            render_mode: None, "rgb_array" or "human".

        Raises:
            ValueError: If an option is impossible; the message names it and the remedy.
        """
        core = CorridorVectorEnv(
            num_envs=1,
            min_length=min_length,
            max_length=max_length,
            num_cues=num_cues,
            distractors=distractors,
            wrong_reward=wrong_reward,
            view_size=view_size,
            walkway=walkway,
        )
        super().__init__(core, render_mode)
