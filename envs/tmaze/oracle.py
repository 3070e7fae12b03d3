"""A scripted policy for the T-Maze that sees what an agent sees and forgets nothing."""

from __future__ import annotations

import numpy as np

from envs.array_env.arrays import BoolArray, IntArray, Observation
from envs.array_env.oracle import Oracle
from envs.tmaze.moves import DOWN, LEFT, RIGHT, UP


class TMazeOracle(Oracle):
    """A policy that looks at the sign, walks to the junction and turns as the sign said.

    It uses only observations and its own memory, so an agent could achieve the same return.
    """

    def __init__(self, num_envs: int) -> None:
        """Prepare the memory of N policies.

        Args:
            num_envs: Number of environments, N.
        """
        self._sign = np.zeros(num_envs)

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Choose an action for each maze from observations `[N, 2]`."""
        at_end, sign = obs[:, 0] > 0, obs[:, 1]
        self._sign[is_first] = 0
        self._sign[~at_end] += sign[~at_end]  # a sign is shown only once
        action = np.full(len(obs), RIGHT)
        action[at_end] = np.where(self._sign[at_end] > 0, UP, DOWN)
        action[is_first & (sign == 0)] = LEFT  # an active maze begins beside the sign
        return action
