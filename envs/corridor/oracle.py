"""A scripted policy for the Corridor that sees what an agent sees and forgets nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray, IntArray, Observation
from envs.array_env.oracle import Oracle
from envs.minigrid_view import BALLS, FORWARD, LEFT, RIGHT, unpack

_WALK, _TAKE, _TURN_BACK = range(3)
_BALL, _COLOUR = int(unpack(BALLS)[0, 0]), 1


class CorridorOracle(Oracle):
    """A policy that notes the cues while walking past them, and takes the matching balls in order.

    It uses only observations and its own memory, so an agent could achieve the same return.
    """

    def __init__(self, num_envs: int, num_cues: int = 1) -> None:
        """Prepare the memory of N policies.

        Args:
            num_envs: Number of environments, N.
            num_cues: Number of balls to remember, north of the first columns.
        """
        self.num_cues = num_cues
        self._cues = np.zeros((num_envs, num_cues), np.int64)
        self._seen = np.zeros(num_envs, np.int64)
        self._solved = np.zeros(num_envs, np.int64)
        self._phase = np.full(num_envs, _WALK)
        self._last_turn = np.full(num_envs, LEFT)

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Choose an action for each corridor from observations `[N, view, view, 3]`."""
        for memory in (self._seen, self._solved, self._phase):
            memory[is_first] = 0
        middle = obs.shape[1] // 2
        left, right = obs[:, middle - 1, -1], obs[:, middle + 1, -1]
        walking = self._phase == _WALK
        self._note(left, walking)
        junction = walking & (left[:, 0] == _BALL) & (right[:, 0] == _BALL)

        rows = np.arange(len(obs))
        wanted = self._cues[rows, np.minimum(self._solved, self.num_cues - 1)]
        turn = np.where(left[:, _COLOUR] == wanted, LEFT, RIGHT)
        back = self._phase == _TURN_BACK
        action: npt.NDArray[Any] = np.full(len(obs), FORWARD)
        action[junction] = turn[junction]
        action[back] = np.where(self._last_turn[back] == LEFT, RIGHT, LEFT)

        self._last_turn[junction] = turn[junction]
        taking = self._phase == _TAKE
        self._solved[taking] += 1
        self._phase[junction], self._phase[taking], self._phase[back] = _TAKE, _TURN_BACK, _WALK
        return action

    def _note(self, left: npt.NDArray[np.uint8], walking: npt.NDArray[np.bool_]) -> None:
        """Note the colour of the cell on the left `[N, 3]` while walking past the cues."""
        new = np.flatnonzero(walking & (self._seen < self.num_cues))
        self._cues[new, self._seen[new]] = left[new, _COLOUR]
        self._seen[new] += 1
