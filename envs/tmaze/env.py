"""The T-Maze's rules, as array code over N mazes and as a single environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import Space
from gymnasium.spaces import Box

from envs.array_env import ArrayVectorEnv, SingleView
from envs.array_env.arrays import BoolArray, FloatArray, Frame, IntArray, Rows
from envs.draws import UIntArray, integers
from envs.minigrid_view import BALLS, EAST, EMPTY, GOAL, WALL, render_window
from envs.tmaze.moves import STEP_X, STEP_Y
from envs.tmaze.options import TMazeOptions
from envs.tmaze.oracle import TMazeOracle
from envs.tmaze.state import TMazeState

FRAME_COLUMNS = 15
_MIDDLE_ROW = 2  # of a frame's five

# Draws of an episode's key.
_LENGTH, _GOAL = 0, 1


class TMazeVectorEnv(ArrayVectorEnv):
    """N corridors that fork at their end, with a sign at the start that says where the goal is.

    ## Description
    The T-Maze of Bakker (2001) with the reward and the horizon of Ni et al. (2023), who use it to
    test memory (passive) and, in addition, credit assignment (active). A sign at the left end of a
    corridor, the oracle, shows which arm of the fork at the right end holds the goal. It shows that
    once. The agent starts at the oracle (passive), or one cell to its right (`active`), and has
    just as many steps as the shortest way by the oracle to the goal takes.

    ## World
    A corridor from the oracle, at column 0, to the junction, at column `length` (one more if
    active). One cell above and one below the junction, the arms. All other cells are walls.

    ## Actions
    `Discrete(4)`: 0 right, 1 up, 2 left, 3 down. Moves into walls have no effect.

    ## Observations
    `float32 [2]`: whether the agent is in the column of the junction (0 or 1), then a sign. In the
    corridor it is 0, except for the first observation at the oracle, where it is the row of the
    goal, 1 (up) or -1 (down). In the junction's column it is the agent's own row, 1, 0 or -1.

    ## Rewards
    1 for being at the goal after the last step. Before the last step, `-penalty / length` for each
    step after which the agent is farther left than if it had gone to the oracle and then right. A
    perfect episode returns 1, one without a movement `-penalty` (passive).

    ## Episode end
    Terminated after `length + 1` steps (`length + 3` if active), wherever the agent is.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `rl_expire.relevant` (bool: the observation shows where the goal is), `length` (int: steps from
    the start to the junction), `rl_expire.decision` (bool: the agent is at the junction, and has
    seen where the goal is), `rl_expire.choice` (bool: the action makes a difference, as it does not
    behind schedule, where the goal is out of reach and every step costs the same), `success` (bool:
    the agent is at the goal, on the last step).

    ## Options
    See `TMazeOptions`. Registered as `RLExpire/TMaze-v0`.
    """

    changeable = ("min_length", "max_length", "active")
    limit_terminates = True
    options_type = TMazeOptions
    options: TMazeOptions

    def _prepare(self) -> tuple[Space[Any], int]:
        """Set up the state; return the observation space and the number of actions."""
        self._state = TMazeState.zeros(self.num_envs)
        return Box(-1.0, 1.0, (2,), np.float32), len(STEP_X)

    def oracle(self) -> TMazeOracle:
        """Return a scripted policy that solves these N mazes from observations alone."""
        return TMazeOracle(self.num_envs)

    def expected_return(self) -> float:
        """Return the mean return of perfect memory: the goal, always in time."""
        return 1.0

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Draw lengths and goals; put the agents at the start."""
        state, options = self._state, self.options
        length = integers(keys, _LENGTH, options.min_length, options.max_length)
        start = int(options.active)
        state.x[rows] = state.start[rows] = start
        state.y[rows] = 0
        state.time[rows] = 0
        state.length[rows] = length
        state.junction[rows] = length + start
        state.goal[rows] = 2 * integers(keys, _GOAL, 0, 1) - 1
        state.visited[rows] = state.shown[rows] = not start
        state.success[rows] = False
        return length + 1 + 2 * start

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Move the agents; judge where they are."""
        state = self._state
        # From an arm the only way leads back: to the sides there are walls.
        across = STEP_X.take(actions) * (state.y == 0)
        state.x += across
        np.clip(state.x, 0, state.junction, out=state.x)
        state.y += STEP_Y.take(actions) * (state.x == state.junction)
        np.clip(state.y, -1, 1, out=state.y)
        state.time += 1
        np.logical_and(state.x == 0, ~state.visited, out=state.shown)
        state.visited |= state.shown
        last = state.over()
        np.logical_and(last, state.y == state.goal, out=state.success)
        late = state.behind() & ~last
        reward = state.success - late * (self.options.penalty / state.length)
        return reward, np.zeros(self.num_envs, np.bool_)  # the step limit ends episodes

    def _observe(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return whether the agent is at the fork, and the sign or its row."""
        state = self._state.select(rows)
        obs = np.empty((state.x.size, 2), np.float32)
        obs[:, 0] = state.x == state.junction
        obs[:, 1] = state.y + state.goal * state.shown
        return obs

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Return the entries listed under "Info" in the class docstring."""
        state = self._state.select(rows)
        at_junction = (state.x == state.junction) & (state.y == 0)
        return {
            "rl_expire.relevant": state.shown.copy(),
            "length": state.length.astype(np.int64),
            "rl_expire.decision": at_junction & state.visited & ~state.over(),
            "rl_expire.choice": ~state.behind(),
            "success": state.success.copy(),
        }

    def _frame(self, row: int) -> Frame:
        """Render the columns around the agent, with a ball beside the oracle that says where to."""
        state = self._state.select(np.array([row]))
        x, y, junction, goal = (
            int(values[0]) for values in (state.x, state.y, state.junction, state.goal)
        )
        column = np.arange(FRAME_COLUMNS) - FRAME_COLUMNS // 2 + x
        words = np.full((5, FRAME_COLUMNS), WALL, np.uint32)
        words[_MIDDLE_ROW, (column >= 0) & (column <= junction)] = EMPTY
        words[_MIDDLE_ROW - goal, column == 0] = BALLS[1]
        words[_MIDDLE_ROW - goal, column == junction] = GOAL
        words[_MIDDLE_ROW + goal, column == junction] = EMPTY
        return render_window(words, (FRAME_COLUMNS // 2, _MIDDLE_ROW - y), EAST, view_size=1)


class TMazeEnv(SingleView):
    """One T-Maze, a view of `TMazeVectorEnv`, which describes the task."""

    vector_class = TMazeVectorEnv
    title = "RLExpire/TMaze-v0"
    action_names = ("right", "up", "left", "down")
