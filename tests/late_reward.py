"""An environment whose only decision is paid at the end of the episode, for tests and by hand.

rl-expire train tests.late_reward:LateReward-v0 --env.option length=256 --agent lstm
"""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class LateReward(gym.Env):
    """Action 0 at the first step earns `scale` at the last one; all other actions have no effect.

    The observation is whether it is the first step, and the share of the episode that is over.
    """

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, length: int = 128, scale: float = 1.0):
        self.length, self.scale = length, scale
        self.time, self.good = 0, False

    def _obs(self) -> np.ndarray:
        return np.array([self.time == 0, self.time / self.length], np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self.time, self.good = 0, False
        return self._obs(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take the decision at the first step; pay for it at the last one."""
        if self.time == 0:
            self.good = int(action) == 0
        self.time += 1
        over = self.time >= self.length
        reward = self.scale * (over and self.good)
        return self._obs(), reward, over, False, {"success": self.good} if over else {}


class ScaledReward(gym.Wrapper):
    """Multiply rewards by the number in the variable `REWARD_FACTOR` of the process environment."""

    def step(self, action: Any) -> Any:
        """Step, and multiply the reward."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        factor = float(os.environ.get("REWARD_FACTOR", "1"))
        return obs, factor * float(reward), terminated, truncated, info


gym.register("LateReward-v0", entry_point="tests.late_reward:LateReward")
