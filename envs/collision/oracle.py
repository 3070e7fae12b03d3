"""A scripted policy for the Collision task that sees what an agent sees and forgets nothing."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from envs.array_env.arrays import BoolArray, IntArray, Observation
from envs.array_env.oracle import Oracle


class CollisionOracle(Oracle):
    """A policy that notes the quadrant of the last collision of each pair of colours.

    It uses only observations and its own memory, so an agent could achieve the same return.
    """

    def __init__(self, num_envs: int, size: int, colours: int, window: int | None = None) -> None:
        """Prepare the memory of N policies.

        Args:
            num_envs: Number of environments, N.
            size: Side of the grid that positions are given in.
            colours: Number of colours.
            window: Number of frames, the current one included, that it remembers; of collisions
                before, it answers 0. None: all.
        """
        self.middle, self.colours, self.window = size // 2, colours, window
        self._quadrant = np.zeros((num_envs, colours**2), np.int64)
        self._age = np.zeros((num_envs, colours**2), np.int64)

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Answer the question of each observation `[N, particles + 1, 1, 3]`."""
        x, y, colour = (obs[:, :-1, 0, channel].astype(np.int64) for channel in range(3))
        self._quadrant[is_first] = 0
        self._age += 1
        for first, second in combinations(range(x.shape[1]), 2):
            met = (x[:, first] == x[:, second]) & (y[:, first] == y[:, second])
            rows = np.flatnonzero(met)
            pair = self.colours * colour[rows, first] + colour[rows, second]
            south, east = y[rows, first] >= self.middle, x[rows, first] >= self.middle
            self._quadrant[rows, pair] = 2 * south + east
            self._age[rows, pair] = 0
        rows = np.arange(len(obs))
        pair = self.colours * obs[:, -1, 0, 0].astype(np.int64) + obs[:, -1, 0, 1]
        answer = self._quadrant[rows, pair]
        if self.window is None:
            return answer
        return np.where(self._age[rows, pair] < self.window, answer, 0)
