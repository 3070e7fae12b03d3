"""Environments in processes of their own: they step at once, and may hang or die alone."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import iterate


class EnvProcess(gym.Env):
    """An environment that lives in another process.

    Args:
        make: makes the environment, over there.
        timeout: seconds that any answer may take.

    Raises:
        TimeoutError: of every method: no answer came; the process has been killed.
        EOFError: of every method: the process has died.
    """

    def __init__(self, make: Callable[[], gym.Env], timeout: float):
        self.timeout = timeout
        self.connection, there = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=_serve, args=(make, there, self.connection), daemon=True
        )
        self.process.start()
        there.close()
        self.under_way = False
        self.observation_space, self.action_space, self.metadata = self._answer()

    def begin(self, action: Any) -> None:
        """Let it step without waiting for the answer, which `step` returns."""
        # A process that is dead is found out about by whoever waits for its answer.
        with suppress(OSError):
            self.connection.send(("step", (action,), {}))
        self.under_way = True

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, or wait for the step that was begun."""
        if not self.under_way:
            self.begin(action)
        self.under_way = False
        return self._answer()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        return self._ask("reset", seed=seed, options=options)

    @property
    def np_random(self) -> np.random.Generator:
        """A copy of its random generator; set it to change the one over there."""
        return self._ask("generator")

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self._ask("generator", value)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _ask(self, name: str, *values: Any, **options: Any) -> Any:
        if self.under_way:  # nobody waits for that step any more
            self.under_way = False
            with suppress(Exception):
                self._answer()
        with suppress(OSError):
            self.connection.send((name, values, options))
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not self.connection.poll(self.timeout):
                self.process.kill()
                raise TimeoutError(f"no answer within {self.timeout:g} seconds")
            answer, error = self.connection.recv()
        except (EOFError, OSError) as lost:
            if isinstance(lost, TimeoutError):
                raise
            self.process.join(1.0)
            raise EOFError(f"its process has died, exit code {self.process.exitcode}") from lost
        if error is not None:
            raise error
        return answer


def _serve(make: Callable[[], gym.Env], connection: Connection, there: Connection) -> None:
    """Answer until nobody asks any more."""
    there.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the learner, who then ends this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    env: Any = None

    def generator(new: np.random.Generator | None = None) -> np.random.Generator:
        if new is not None:
            env.unwrapped.np_random = new
        return env.unwrapped.np_random

    def begin() -> tuple[Any, ...]:
        nonlocal env
        env = make()
        return env.observation_space, env.action_space, env.metadata

    with suppress(EOFError, OSError):
        connection.send(_tried(begin))
        if env is None:
            return
        known = {"step": env.step, "reset": env.reset, "generator": generator}
        while True:
            name, values, options = connection.recv()
            answer = _tried(known[name], *values, **options)
            sent = _tried(connection.send, answer)
            if sent[1] is not None:  # such as an info that cannot be pickled
                connection.send(sent)


def _tried(ask: Callable[..., Any], *values: Any, **options: Any) -> tuple[Any, Exception | None]:
    """Return the answer, or what was raised, as something that can be sent for sure."""
    try:
        return ask(*values, **options), None
    except ValueError as error:
        return None, ValueError(str(error))
    except Exception as error:
        return None, RuntimeError(f"{type(error).__name__}: {error}")


class AsyncEnvs(SyncVectorEnv):
    """Environments, each or its innermost an `EnvProcess`, that all step at the same time."""

    def step(self, actions: Any) -> Any:
        """Begin all steps, then wait for them one after the other."""
        for env, action in zip(self.envs, iterate(self.action_space, actions), strict=True):
            inner = env.unwrapped
            assert isinstance(inner, EnvProcess)
            inner.begin(action)
        return super().step(actions)
