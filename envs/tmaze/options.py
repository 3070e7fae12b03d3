"""Options of the T-Maze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.array_env.options import check_integers, check_range

MAX_LENGTH = 100_000_000  # columns and step limits stay within 32 bits


@dataclass(frozen=True)
class TMazeOptions:
    """Options of the environment RLExpire/TMaze-v0.

    Raises:
        ValueError: If an option is impossible; the message names it and the remedy.
    """

    min_length: int = 3
    """Shortest corridor, in steps from the agent's start to the junction."""
    max_length: int = 200
    """Longest corridor; lengths are drawn uniformly from both and all between."""
    active: bool = False
    """Start one cell to the right of the oracle, which the agent then has to visit first."""
    penalty: float = 1.0
    """What an episode costs in which the agent never moves, spread evenly over its steps: each step
    behind schedule costs `penalty / length`. At 0, only the last step is rewarded."""

    def __post_init__(self) -> None:
        """Check every option."""
        if not (np.isfinite(self.penalty) and self.penalty >= 0):
            raise ValueError(f"penalty={self.penalty} is impossible: give a number of 0 or more")
        if not isinstance(self.active, (bool, np.bool_)):
            raise ValueError(f"active={self.active!r} is not a truth value: give True or False")
        check_integers(self, "min_length", "max_length")
        check_range(self, "min_length", 1, MAX_LENGTH)
        check_range(self, "max_length", self.min_length, MAX_LENGTH)
