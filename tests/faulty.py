"""Environments that fail on purpose, and others for tests; importing this registers them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

LENGTH = 6
"""Number of steps of an episode."""
REWARDS = {"nan reward": np.nan, "no reward": None, "reward array": np.ones(1)}
FAULTS = [*REWARDS, "raise", "inf obs", "shape", "dtype", "key", "reset", "hang", "die"]


class FaultyEnv(gym.Env):
    """Counts its steps up to `LENGTH`, and fails at step `at` of an episode.

    Args:
        fault: one of `FAULTS`, or `none`.
        at: step of the episode at which it fails.
        once: path of a file that is created by the first fault, and prevents further ones; None:
            fail in every episode.
    """

    metadata = {"render_modes": []}  # noqa: RUF012
    observation_space = spaces.Dict({"count": spaces.Box(-9.0, 99.0, (2,), np.float32)})
    action_space = spaces.Discrete(2)

    def __init__(self, fault: str = "none", at: int = 3, once: str | None = None):
        self.fault, self.at, self.once, self.count = fault, at, once, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; the fault `reset` occurs from the second episode on."""
        super().reset(seed=seed)
        if self.fault == "reset" and self.count and self._fault_due():
            raise RuntimeError("no such level")
        self.count = 0
        return self._obs(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Count a step."""
        self.count += 1
        obs, reward = self._obs(), 1.0
        fails = self.fault not in ("none", "reset")
        if fails and self.count == self.at and self._fault_due():
            obs, reward = self._fail(obs, reward)
        over = self.count == LENGTH
        return obs, reward, over, False, {"is_success": True} if over else {}

    def _obs(self) -> Any:
        """Return the count and a random number."""
        return {"count": np.array([self.count, self.np_random.random()], np.float32)}

    def _fault_due(self) -> bool:
        """Return whether to fail, and create the file `once`."""
        if self.once is None:
            return True
        try:  # atomically, because several processes may get here at the same time
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _fail(self, obs: Any, reward: float) -> tuple[Any, Any]:
        """Raise, hang or die, or return an invalid observation or reward."""
        if self.fault == "raise":
            raise ZeroDivisionError("the physics\nbroke down")
        if self.fault == "hang":
            time.sleep(600)
        if self.fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        invalid: dict[str, Any] = {
            "inf obs": {"count": np.array([np.inf, 0.0], np.float32)},
            "shape": {"count": np.zeros(3, np.float32)},
            "dtype": {"count": np.array(["a", "b"])},
            "key": {"size": np.zeros(2, np.float32)},
        }
        return invalid.get(self.fault, obs), REWARDS.get(self.fault, reward)


class UnclosableEnv(FaultyEnv):
    """Fails when it is closed."""

    def close(self) -> None:
        """Raise."""
        raise RuntimeError("the window\nis in use")


class PixelsEnv(gym.Env):
    """Shows a grey image, uint8 `[40, 36, 1]`, and rewards naming the half that is bright."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012
    observation_space = spaces.Box(0, 255, (40, 36, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw the bright half at random."""
        super().reset(seed=seed)
        self.side, self.count = int(self.np_random.integers(2)), 0
        return self._obs(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Reward the action if it names the bright half; an episode has three steps."""
        self.count += 1
        return self._obs(), float(action == self.side), False, self.count == 3, {}

    def _obs(self) -> Any:
        """Return the image."""
        image = np.zeros((40, 36, 1), np.uint8)
        image[:, 18 * self.side : 18 + 18 * self.side] = 255
        return image

    def render(self) -> Any:
        """Return the image in RGB."""
        return np.repeat(self._obs(), 3, axis=-1)


def continuous(**_: Any) -> gym.Env:
    """Return an environment whose actions have a lower bound only, which agents refuse."""
    env: Any = PixelsEnv()
    env.action_space = spaces.Box(0.0, np.inf, (2,))
    return env


def sequence(**_: Any) -> gym.Env:
    """Return an environment whose observation space has a sequence within a dict."""
    env: Any = PixelsEnv()
    inner = spaces.Tuple((spaces.Sequence(spaces.Discrete(2)),))
    env.observation_space = spaces.Dict({"a": spaces.Discrete(2), "b": inner})
    return env


gym.register("Faulty-v0", entry_point="tests.faulty:FaultyEnv")
gym.register("Unclosable-v0", entry_point="tests.faulty:UnclosableEnv")
gym.register("Pixels-v0", entry_point="tests.faulty:PixelsEnv")
gym.register("HalfBounded-v0", entry_point="tests.faulty:continuous")
gym.register("Sequence-v0", entry_point="tests.faulty:sequence")
