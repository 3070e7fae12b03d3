"""Environments with any action space, for tests of acting and learning in it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

NESTED = spaces.Dict(
    {
        "arm": spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 5.0]), dtype=np.float64),
        "hand": spaces.Tuple([spaces.Discrete(3, start=4), spaces.MultiBinary([2, 2])]),
        "walk": spaces.MultiDiscrete(np.array([[2, 5]]), start=np.array([[1, -1]])),
        "force": spaces.Box(-np.inf, np.inf, (1,)),
    }
)
ACTION_SPACES: dict[str, gym.Space] = {
    "Discrete": spaces.Discrete(4),
    "Discrete, other start": spaces.Discrete(3, start=-2),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3, 4]),
    "MultiBinary": spaces.MultiBinary(3),
    "Box": spaces.Box(-2.0, 2.0, (1,)),
    "Box, unbounded": spaces.Box(-np.inf, np.inf, (2, 2)),
    "Tuple": spaces.Tuple([spaces.Discrete(2), spaces.Box(0.0, 1.0, (1,))]),
    "nested": NESTED,
}
"""One action space of each kind."""


class ActingEnv(gym.Env):
    """Episodes of 5 steps that refuse actions outside of their space.

    Args:
        space: name of one of `ACTION_SPACES`.
        masked: forbid the first category of every part, in `info["action_mask"]`.
        render_mode: `rgb_array` or None.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, space: str, masked: bool = False, render_mode: str | None = None):
        """Choose the spaces."""
        self.action_space = ACTION_SPACES[space]
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,))
        self.masked, self.render_mode = masked, render_mode
        self.steps = 0

    def _obs(self) -> np.ndarray:
        """Return a random observation."""
        return self.np_random.normal(size=3).astype(np.float32)

    def _info(self) -> dict[str, Any]:
        """Return the mask; what it forbids is checked in `step` for a `MultiDiscrete` space."""
        if not self.masked:
            return {}
        assert isinstance(self.action_space, spaces.MultiDiscrete)
        allowed = [np.arange(n) > 0 for n in self.action_space.nvec]
        return {"action_mask": np.concatenate(allowed)}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self.steps = 0
        return self._obs(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Check the action."""
        assert action in self.action_space, action
        assert not self.masked or (np.asarray(action) > 0).all(), action
        self.steps += 1
        return self._obs(), float(self.np_random.random()), self.steps == 5, False, self._info()

    def render(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a grey picture."""
        return np.full((64, 64, 3), 128, np.uint8)


gym.register("ActingEnv-v0", "tests.acting:ActingEnv")
