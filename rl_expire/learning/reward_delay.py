"""How long actions wait for their reward, which decides how long rollouts have to be."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_expire.learning import ranks
from rl_expire.types import M, Rollout
from rl_expire.validate import check_fit

FORGETTING_RATE = 0.05
"""Share of the running sums that each rollout replaces."""
CONSTANT = 1e-3
"""Relative deviation below which all rewards count as equal."""


class RewardDelay:
    """Measure the steps from the start of an episode, or the last large reward, to the next one.

    A reward is large if it differs from the mean by more than the standard deviation, which neither
    a cost nor a bonus on every step does, whatever its size.

    Args:
        rows: number of environments, of all ranks together.
        actors: number of actors of a rank.
    """

    def __init__(self, rows: int, actors: int = 1):
        """Start without a reward."""
        self._waited = np.zeros((actors, rows), np.int64)
        self._moments = np.zeros(3)  # steps, sum of rewards, sum of squared rewards
        self._delays = np.zeros(2)  # sum of sizes, sum of sizes times delays

    @property
    def mean(self) -> float:
        """Mean delay in steps, weighted by the size of the rewards; 0 before a large reward."""
        size, delays = self._delays
        return float(delays / size) if size else 0.0

    def update(self, rollout: Rollout[M], actor: int = 0) -> None:
        """Measure the next rollout of the environments of an actor, and those of other ranks."""
        waited = self._waited[actor]
        reward = ranks.concat(rollout.reward, 1).double().cpu().numpy()
        valid = ranks.concat(rollout.valid, 1).cpu().numpy()
        ended = ranks.concat(rollout.terminated | rollout.truncated, 1).cpu().numpy()
        counted = reward[valid]
        self._moments *= 1 - FORGETTING_RATE
        self._moments += len(counted), counted.sum(), np.square(counted).sum()
        if not self._moments[0]:
            return
        mean, square = self._moments[1:] / self._moments[0]
        deviation = max(np.sqrt(max(square - mean**2, 0.0)), CONSTANT * np.sqrt(square))
        size = np.abs(reward - mean) * valid
        large = size > deviation
        self._delays *= 1 - FORGETTING_RATE
        for t in range(len(reward)):
            waited += valid[t]
            weights = size[t] * large[t]
            self._delays += weights.sum(), (weights * waited).sum()
            waited[large[t] | ended[t]] = 0

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the running sums."""
        return {name.removeprefix("_"): value.copy() for name, value in vars(self).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not that of as many environments.
        """
        check_fit(state, self.state_dict(), "delay")
        for name, value in state.items():
            setattr(self, f"_{name}", value.copy())
