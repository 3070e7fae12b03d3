"""What a scripted policy of an environment looks like."""

from __future__ import annotations

from typing import Protocol

from envs.array_env.arrays import BoolArray, IntArray, Observation


class Oracle(Protocol):
    """A scripted policy with perfect memory, the upper bound that agents are compared with."""

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Choose an action for each environment.

        Args:
            obs: Observations `[N, ...]`.
            is_first: Whether each is the first of its episode `[N]`.

        Returns:
            Actions, int64 `[N]`.
        """
        ...
