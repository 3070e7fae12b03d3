"""Detect environments that crash or return invalid data; report or rebuild them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from rl_expire.vector.cells import category_mismatch
from rl_expire.vector.nest import leaves

V = TypeVar("V", bound=VectorEnv)

FAULT = "rl_expire.env_fault"
"""Info key that holds the error message of an environment that was rebuilt."""


class EnvFaultError(RuntimeError):
    """An environment failed; the message says which one, at which step, and why."""


class Guard(gym.Wrapper):
    """Wrapper of one environment of a batch that checks what it returns, and may rebuild it.

    A rebuilt environment starts a new episode. The episode that failed is truncated at its last
    valid observation, with reward 0 and the error message in its info under `FAULT`. Rebuilt
    environments are seeded from the seed of the first reset.

    Args:
        make: makes the environment; called again to rebuild it.
        row: index of the environment in the batch, for messages.
        restart: rebuild the environment after a fault; otherwise raise every fault.
        max_faults: number of consecutive faults, without an episode that ended in between, after
            which a fault is raised even with `restart`.
    """

    def __init__(self, make: Callable[[], gym.Env], row: int, *, restart: bool, max_faults: int):
        """Make the environment."""
        super().__init__(make())
        self.make, self.row, self.max_faults = make, row, max_faults if restart else 0
        self.consecutive_faults = 0
        self.steps = 0
        self.seeds = np.random.default_rng(row)
        self.next_seed: int | None = None
        self.last_obs: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, rebuilding the environment if necessary.

        Raises:
            EnvFaultError: the environment failed, and may not or cannot be rebuilt.
        """
        if seed is not None:
            self.seeds = np.random.default_rng(seed)
        seed = self.next_seed if seed is None else seed
        self.steps, self.next_seed = 0, None
        fault: dict[str, Any] = {}
        while True:
            try:
                obs, info = self.env.reset(seed=seed, options=options)
                self._check(obs)
                self._keep(obs)
                return obs, {**info, **fault}
            except Exception as error:
                fault = {FAULT: self._record_fault(error)}
                seed = self._rebuild()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; after a fault, truncate the episode and rebuild the environment.

        Raises:
            EnvFaultError: the environment failed, and may not or cannot be rebuilt.
        """
        self.steps += 1
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
            self._check(obs)
            reward = _finite_number(reward)
        except Exception as error:
            fault = {FAULT: self._record_fault(error)}
            self.next_seed = self._rebuild()
            return self.last_obs, 0.0, False, True, fault
        self._keep(obs)
        if terminated or truncated:
            self.consecutive_faults = 0
            obs = deepcopy(obs)  # the reset that follows may write into the same arrays
        return obs, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environment; if that fails, print a line to stderr."""
        close_envs(self.env, f"environment {self.row}")

    def _keep(self, obs: Any) -> None:
        """Keep a copy of the last valid observation, if a fault may need it."""
        if self.max_faults:
            self.last_obs = deepcopy(obs)

    def _check(self, obs: Any) -> None:
        """Check that `obs` belongs to the observation space.

        Raises:
            ValueError: it does not.
        """
        problem = space_mismatch(self.observation_space, obs)
        if problem is not None:
            raise ValueError(problem)

    def _record_fault(self, error: Exception) -> str:
        """Count a fault and return its message.

        Raises:
            EnvFaultError: there have been too many faults in a row.
        """
        if isinstance(error, EnvFaultError):
            raise error
        message = f"environment {self.row}, step {self.steps} of its episode: "
        message += error_summary(error)
        self.consecutive_faults += 1
        if self.consecutive_faults > self.max_faults:
            count = f" ({self.consecutive_faults} faults in a row)" if self.max_faults else ""
            raise EnvFaultError(message + count) from error
        return message

    def _rebuild(self) -> int:
        """Replace the environment by a new one, and return the seed to reset it with."""
        with suppress(Exception):
            self.env.close()
        while True:
            try:
                self.env = self.make()
                return int(self.seeds.integers(2**31))
            except Exception as error:
                self._record_fault(error)


def _finite_number(reward: Any) -> float:
    """Return a reward as a number.

    Raises:
        ValueError: it is not a finite number.
    """
    if np.ndim(reward):
        raise ValueError(f"its reward has shape {np.shape(reward)}: return a number")
    try:
        number = float(reward)
    except (TypeError, ValueError):
        raise ValueError(f"its reward is {str(reward)[:40]!r}: return a number") from None
    if not np.isfinite(number):
        raise ValueError(f"its reward is {number}")
    return number


def close_envs(envs: gym.Env | VectorEnv, name: str = "the environments") -> None:
    """Close environments; if that fails, print a line to stderr, since nothing depends on it.

    Args:
        envs: an environment, or a vector of them.
        name: what to call them in the line.
    """
    try:
        envs.close()
    except Exception as error:  # an environment may raise anything
        print(f"{name} cannot be closed: {error_summary(error)}", file=sys.stderr)
        if isinstance(envs, VectorEnv):
            envs.closed = True  # or it is closed again when it is deleted


@contextmanager
def closing_envs(envs: V) -> Iterator[V]:
    """Close environments at the end of a `with` block, as `close_envs` does."""
    try:
        yield envs
    finally:
        close_envs(envs)


def error_summary(error: Exception) -> str:
    """Return the message of an exception on one line of at most 300 characters.

    The exception's type comes first, unless it is a ValueError with a message.
    """
    message = " ".join(str(error).split())[:300]
    if isinstance(error, ValueError) and message:
        return message
    return f"{type(error).__name__}: {message}"


def space_mismatch(space: gym.Space, obs: Any, path: str = "") -> str | None:
    """Explain why `obs` does not belong to `space`.

    Keys, shape, dtype, finiteness and categories are checked. The bounds of other numbers are not:
    many environments exceed their own slightly.

    Args:
        space: the observation space.
        obs: an observation.
        path: where in a nested observation `obs` is, for the message.

    Returns:
        The explanation; None if `obs` can be stacked with other observations of `space`.
    """
    name = f"its observation{path}"
    if isinstance(space, spaces.Dict):
        if not isinstance(obs, Mapping) or set(obs) != set(space.keys()):
            keys = ", ".join(sorted(space.keys()))
            return f"{name} does not have exactly the keys {keys}"
        problems = (space_mismatch(s, obs[key], f"{path}[{key!r}]") for key, s in space.items())
        return next((problem for problem in problems if problem is not None), None)
    if isinstance(space, spaces.Tuple):
        if not isinstance(obs, tuple | list) or len(obs) != len(space):
            return f"{name} is not a tuple of length {len(space)}"
        problems = (
            space_mismatch(s, part, f"{path}[{n}]")
            for n, (s, part) in enumerate(zip(space, obs, strict=True))
        )
        return next((problem for problem in problems if problem is not None), None)
    if space.shape is None or space.dtype is None:
        return None
    value = np.asarray(obs)
    if value.shape != space.shape:
        return f"{name} has shape {value.shape}, not {space.shape}"
    if not np.can_cast(value.dtype, space.dtype, "same_kind"):
        return f"{name} is {value.dtype}, not {space.dtype}"
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return f"{name} is not finite"
    problem = category_mismatch(space, value)
    return f"{name} {problem}" if problem else None


def reward_array(reward: Any, rows: int) -> np.ndarray:
    """Return a copy of the rewards of a batch of environments, `[B]` float32.

    Args:
        reward: what the environments returned.
        rows: B.

    Raises:
        EnvFaultError: these are not B numbers.
    """
    try:
        array = np.array(reward, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EnvFaultError(f"the rewards are no numbers ({error_summary(error)})") from error
    if array.shape != (rows,):
        raise EnvFaultError(f"the rewards have shape {array.shape}, not {(rows,)}")
    return array


def check_batch(reward: np.ndarray, obs: Any) -> None:
    """Check that the rewards and observations of a batch of environments are finite.

    Args:
        reward: `[B]`.
        obs: `[B, ...]`, or a nest of such arrays.

    Raises:
        EnvFaultError: a number is not finite; the message names the environment.
    """
    arrays = {"reward": reward}
    for key, value in leaves(obs).items():
        arrays["observation" if key is None else f"observation[{key!r}]"] = value
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            continue
        finite = np.isfinite(value)
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            raise EnvFaultError(f"environment {row}: its {name} is not finite")
