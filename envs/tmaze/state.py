"""The state of N T-Mazes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray
from envs.array_env.state import BatchState


@dataclass
class TMazeState(BatchState):
    """State of N T-Mazes: arrays `[N]`."""

    x: npt.NDArray[np.int32]
    """The agent's column; the oracle is at 0."""
    y: npt.NDArray[np.int32]
    """The agent's row: 0 in the corridor, 1 in the upper arm, -1 in the lower one."""
    start: npt.NDArray[np.int32]
    """Column that the agent started in: 0, or 1 if it has to go and look."""
    time: npt.NDArray[np.int32]
    """Steps since the episode began."""
    length: npt.NDArray[np.int32]
    """Steps from the agent's start to the junction."""
    junction: npt.NDArray[np.int32]
    """Column of the junction."""
    goal: npt.NDArray[np.int32]
    """Row of the goal, 1 or -1."""
    visited: BoolArray
    """Whether the agent has been at the oracle."""
    shown: BoolArray
    """Whether the current observation shows the goal."""
    success: BoolArray
    """Whether the episode has just ended at the goal."""

    @classmethod
    def zeros(cls, count: int) -> TMazeState:
        """Return the state of `count` T-Mazes before their first episode."""
        return cls(
            x=np.zeros(count, np.int32),
            y=np.zeros(count, np.int32),
            start=np.zeros(count, np.int32),
            time=np.zeros(count, np.int32),
            length=np.ones(count, np.int32),
            junction=np.ones(count, np.int32),
            goal=np.ones(count, np.int32),
            visited=np.zeros(count, np.bool_),
            shown=np.zeros(count, np.bool_),
            success=np.zeros(count, np.bool_),
        )

    def behind(self) -> BoolArray:
        """Return where the agent is behind schedule `[N]`, which it can never make up for."""
        return self.x < self.time - self.start

    def over(self) -> BoolArray:
        """Return where the episode has ended `[N]`, after the shortest way by the oracle."""
        return self.time > self.length + 2 * self.start
