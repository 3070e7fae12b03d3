"""The Corridor's rules, as array code over N corridors and as a single environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import Space

from envs.array_env import ArrayVectorEnv, SingleView
from envs.array_env.arrays import BoolArray, FloatArray, Frame, IntArray, Rows
from envs.corridor.layout import fill_columns
from envs.corridor.options import CorridorOptions
from envs.corridor.oracle import CorridorOracle
from envs.corridor.state import CorridorState
from envs.draws import UIntArray, draw, integers
from envs.minigrid_view import (
    EAST,
    FORWARD,
    SOUTH,
    STEP_X,
    TURN,
    WALL,
    StripView,
    image_space,
    render_window,
)

FRAME_COLUMNS = 15

# Draws of an episode's key; the columns have theirs in `layout`.
_LENGTH, _CUES, _SIDES = 0, 1, 2

_ONE = np.uint64(1)


class CorridorVectorEnv(ArrayVectorEnv):
    """N corridors with a cue at one end and a choice that depends on it at the other.

    ## Description
    The agent starts at the west end of a corridor, beside a red or a blue ball that soon leaves its
    view. At the far end are one red and one blue ball, and the agent must take the one of the
    colour it saw. With several cues there are as many junctions, to be solved in order; the doors
    between them open one by one.

    A walkway carries the agent to the first junction, one column a step, whatever it does. An agent
    that walks by itself can store notes in the way it walks, for instance by turning to and fro
    every ten steps if the ball was blue: it then has to remember for ten steps instead of the
    length of the corridor.

    ## World
    Rows 0, 1, 2; the agent walks on row 1. Cue k is at (k, 0). Junction k is column
    `length + 2k`, with a red and a blue ball in rows 0 and 2, on sides drawn at random; the next
    column is a closed door until the junction is solved, when its balls become walls. All other
    cells are walls.

    ## Actions
    `Discrete(3)`: 0 turn left, 1 turn right, 2 forward (MiniGrid's). Going forward into a ball of
    an unsolved junction takes it; other balls, walls, closed doors and the end of the walkway
    block. On the walkway actions have no effect.

    ## Observations
    MiniGrid's egocentric image, `uint8 [view_size, view_size, 3]` of (type, colour, state), with
    see-through walls: axis 0 from left to right, axis 1 from far to near, with the agent in the
    middle of the near edge, looking towards lower indices of axis 1.

    ## Rewards
    1 for each junction solved, so that a perfect episode returns `num_cues`; `wrong_reward` for a
    ball of the wrong colour.

    ## Episode end
    Terminated when the last junction is solved or a wrong ball is taken; truncated after
    `3 * (length + 2 * (num_cues - 1)) + 20` steps.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `rl_expire.relevant` (bool: the observation shows the cue of a junction that is not solved yet),
    `length` (int: column of the first junction), `rl_expire.decision` (bool: the agent is at an
    unsolved junction), `rl_expire.choice` (bool: the action makes a difference, as it does not on
    the walkway), `share` (float: junctions solved, divided by their number), `success` (bool: all
    junctions solved, on the last step).

    ## Options
    See `CorridorOptions`. Registered as `RLExpire/Corridor-v0`.
    """

    changeable = ("min_length", "max_length", "num_cues")
    options_type = CorridorOptions
    options: CorridorOptions

    def _prepare(self) -> tuple[Space[Any], int]:
        """Set up view and state; return the observation space and the number of actions."""
        self._view = StripView(self.options.view_size)
        self._state = CorridorState.zeros(self.num_envs)
        return image_space(self.options.view_size), 3

    def oracle(self) -> CorridorOracle:
        """Return a scripted policy that solves these N corridors from observations alone."""
        return CorridorOracle(self.num_envs, self.options.num_cues)

    def expected_return(self) -> float:
        """Return the mean return of perfect memory: every junction solved."""
        return float(self.options.num_cues)

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Draw length, cues and sides; put the agents at the west end."""
        state, options = self._state, self.options
        length = integers(keys, _LENGTH, options.min_length, options.max_length)
        state.x[rows] = 0
        state.direction[rows] = EAST
        state.length[rows] = length
        state.num_cues[rows] = options.num_cues
        state.solved[rows] = 0
        state.key[rows] = keys
        state.cues[rows] = draw(keys, _CUES)
        state.sides[rows] = draw(keys, _SIDES)
        state.success[rows] = False
        return 3 * (length + 2 * (options.num_cues - 1)) + 20

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Turn and move the agents, then take the balls that they walk into."""
        state = self._state
        forward = actions == FORWARD
        turn = TURN.take(actions)
        direction, x = state.direction, state.x
        west_end: npt.NDArray[np.int32] | int = 0
        if self.options.walkway:
            carried = x < state.length
            forward |= carried
            turn[carried] = 0
            west_end = np.where(carried, x, state.length)
        direction += turn
        direction &= 3
        junction = state.junction()
        # The only obstacle on the way is the door after the next junction, open once it is solved.
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
        """Take the balls that the agents `rows` `[M]` face; return rewards and terminated."""
        state = self._state
        which = state.solved[rows].astype(np.uint64)
        cue = (state.cues[rows] >> which) & _ONE
        north = (state.sides[rows] >> which) & _ONE
        faces_south = (state.direction[rows] == SOUTH).astype(np.uint64)
        right = (north ^ faces_south) == cue
        state.solved[rows] += right
        state.success[rows] = right & (state.solved[rows] == state.num_cues[rows])
        reward = np.where(right, 1.0, self.options.wrong_reward)
        return reward, state.success[rows] | ~right

    def _observe(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """Return the egocentric views."""
        state = self._state.select(rows)
        fill = partial(fill_columns, state, self.options.distractors)
        return self._view.see(state.x, state.direction, fill)

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Return the entries listed under "Info" in the class docstring."""
        state, view = self._state.select(rows), self._view
        first = state.x + view.first_column.take(state.direction)
        # Cues are north of the columns 0 to num_cues - 1: not in view when facing south.
        relevant = (first < state.num_cues) & (first > state.solved - view.view_size)
        relevant &= (state.direction != SOUTH) & (state.solved < state.num_cues)
        walkway = self.options.walkway
        return {
            "rl_expire.relevant": relevant,
            "length": state.length.astype(np.int64),
            "rl_expire.decision": (state.x == state.junction()) & (state.solved < state.num_cues),
            "rl_expire.choice": (state.x >= state.length) if walkway else np.ones_like(relevant),
            "share": state.solved / state.num_cues,
            "success": state.success.copy(),
        }

    def _frame(self, row: int) -> Frame:
        """Render the columns around the agent."""
        state = self._state.select(np.array([row]))
        middle = FRAME_COLUMNS // 2
        columns = np.arange(FRAME_COLUMNS, dtype=np.int32)[:, None] - middle + state.x
        words = np.full((5, FRAME_COLUMNS, 1), WALL, np.uint32)
        fill_columns(state, self.options.distractors, columns, words[1:4])
        direction = int(state.direction[0])
        return render_window(words[:, :, 0], (middle, 2), direction, self._view.view_size)


class CorridorEnv(SingleView):
    """One corridor, a view of `CorridorVectorEnv`, which describes the task."""

    vector_class = CorridorVectorEnv
    title = "RLExpire/Corridor-v0"
    action_names = ("left", "right", "forward")
