"""Environments that raise, or answer what nothing can be learned from: named, or rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

FAULT = "env_fault"
"""The key of an info that says what was wrong, where an environment was rebuilt."""


class EnvFaultError(RuntimeError):
    """An environment cannot go on; the message says which one, at which step, and why."""


class Guard(gym.Wrapper):
    """One environment that may fail: its faults are named, and with `restart` it is rebuilt.

    A rebuilt environment begins a new episode; the one that failed is truncated at the last good
    observation, with reward 0 and the fault in its info under `FAULT`. Seeds of rebuilt ones follow
    from that of the first reset.

    Args:
        make: makes the environment; called again for each rebuilding.
        row: which environment of the batch it is, for messages.
        restart: rebuild it; otherwise every fault is raised.
        most: faults in a row, with no episode ended in between, after which it is raised anyway.
    """

    def __init__(self, make: Callable[[], gym.Env], row: int, *, restart: bool, most: int):
        super().__init__(make())
        self.make, self.row, self.most = make, row, most if restart else 0
        self.in_a_row = 0
        self.steps = 0
        self.seeds = np.random.default_rng(row)
        self.next_seed: int | None = None
        self.last_obs: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, in a rebuilt environment if need be.

        Raises:
            EnvFaultError: it cannot, and may not or cannot be rebuilt.
        """
        if seed is not None:
            self.seeds = np.random.default_rng(seed)
        seed = self.next_seed if seed is None else seed
        self.steps, self.next_seed = 0, None
        told: dict[str, Any] = {}
        while True:
            try:
                obs, info = self.env.reset(seed=seed, options=options)
                self._check(obs)
                self.last_obs = obs
                return obs, {**info, **told}
            except Exception as error:
                told = {FAULT: self._noted(error)}
                seed = self._rebuilt()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; where that fails, end the episode and rebuild the environment.

        Raises:
            EnvFaultError: it failed, and may not or cannot be rebuilt.
        """
        self.steps += 1
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
            self._check(obs)
            if not np.isfinite(float(reward)):
                raise ValueError(f"its reward is {float(reward)}")
        except Exception as error:
            told = {FAULT: self._noted(error)}
            self.next_seed = self._rebuilt()
            return self.last_obs, 0.0, False, True, told
        self.last_obs = obs
        if terminated or truncated:
            self.in_a_row = 0
        return obs, reward, terminated, truncated, info

    def _check(self, obs: Any) -> None:
        wrong = misfit(self.observation_space, obs)
        if wrong is not None:
            raise ValueError(wrong)

    def _noted(self, error: Exception) -> str:
        """Return what went wrong, where and when; raise it where there is no going on."""
        if isinstance(error, EnvFaultError):
            raise error
        said = f"environment {self.row}, step {self.steps} of its episode: {reason(error)}"
        self.in_a_row += 1
        if self.in_a_row > self.most:
            again = f" ({self.in_a_row} faults in a row)" if self.most else ""
            raise EnvFaultError(said + again) from error
        return said

    def _rebuilt(self) -> int:
        """Put a new environment in the place of this one; return the seed to reset it with."""
        with suppress(Exception):
            self.env.close()
        while True:
            try:
                self.env = self.make()
                return int(self.seeds.integers(2**31))
            except Exception as error:
                self._noted(error)


def reason(error: Exception) -> str:
    """Return what an exception says, on one line that is not too long."""
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, ValueError) and said else f"{type(error).__name__}: {said}"


def misfit(space: gym.Space, obs: Any, path: str = "") -> str | None:
    """Say why `obs` is no observation of `space` that could be stacked with others; None if it is.

    Bounds are not looked at: many environments leave theirs a little. NaN and infinities are.
    """
    name = f"its observation{path}"
    if isinstance(space, spaces.Dict):
        if not isinstance(obs, Mapping) or set(obs) != set(space.keys()):
            keys = ", ".join(sorted(space.keys()))
            return f"{name} does not have just the keys {keys}"
        parts = (misfit(s, obs[key], f"{path}[{key!r}]") for key, s in space.items())
        return next((wrong for wrong in parts if wrong is not None), None)
    if space.shape is None or space.dtype is None:
        return None
    value = np.asarray(obs)
    if value.shape != space.shape:
        return f"{name} has shape {value.shape}, not {space.shape}"
    if not np.can_cast(value.dtype, space.dtype, "same_kind"):
        return f"{name} is {value.dtype}, not {space.dtype}"
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return f"{name} is not finite"
    return None


def check_batch(reward: np.ndarray, obs: Any) -> None:
    """Look for numbers that are not finite in what a batch of environments answered.

    Args:
        reward: `[B]`.
        obs: `[B, ...]`, or a dict of these.

    Raises:
        EnvFaultError: there is one; the message says in which row.
    """
    named = {"reward": reward} | (
        {f"observation[{key!r}]": value for key, value in obs.items()}
        if isinstance(obs, dict)
        else {"observation": obs}
    )
    for name, value in named.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            continue
        finite = np.isfinite(value)
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            raise EnvFaultError(f"environment {row}: its {name} is not finite")
