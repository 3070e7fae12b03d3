"""Run environments in their own processes, so that they step in parallel and fail alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import iterate

STARTING = 4 * (os.cpu_count() or 1)
"""Number of processes that start at the same time, at most."""


class EnvProcess(gym.Env):
    """An environment that runs in another process.

    Making one only starts the process, so that several can start at the same time.

    Args:
        make: makes the environment, in that process.
        timeout: seconds to wait for any reply.

    Raises:
        TimeoutError: by any method: no reply arrived in time, and the process was killed.
        EOFError: by any method: the process died.
    """

    def __init__(self, make: Callable[[], gym.Env], timeout: float):
        """Start the process."""
        self.timeout = timeout
        self.connection, child = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=_serve, args=(make, child, self.connection), daemon=True
        )
        self.process.start()
        child.close()
        self.step_pending = False
        self.made = False

    def wait(self) -> None:
        """Wait until the process has made the environment.

        Raises:
            Exception: making it failed.
        """
        if not self.made:
            self.observation_space, self.action_space, self.metadata = self._receive()
            self.made = True

    def step_async(self, action: Any) -> None:
        """Start a step without waiting for its result; the next call of `step` returns it."""
        # If the process has died, whoever waits for the result finds out.
        with suppress(OSError):
            self.connection.send(("step", (action,), {}))
        self.step_pending = True

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, or wait for the step that `step_async` started."""
        if not self.step_pending:
            self.step_async(action)
        self.step_pending = False
        return self._receive()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        return self._call("reset", seed=seed, options=options)

    @property
    def np_random(self) -> np.random.Generator:
        """A copy of the environment's random generator; assign to it to replace the original."""
        return self._call("generator")

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        """Replace the environment's random generator."""
        self._call("generator", value)

    def close(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function in the process and return its result; drop a pending step's."""
        self.wait()
        if self.step_pending:
            self.step_pending = False
            with suppress(Exception):
                self._receive()
        with suppress(OSError):
            self.connection.send((name, args, kwargs))
        return self._receive()

    def _receive(self) -> Any:
        """Wait for the result of the last call and return it, or raise its exception."""
        try:
            if not self.connection.poll(self.timeout):
                self.process.kill()
                raise TimeoutError(f"no answer within {self.timeout:g} seconds")
            result, error = self.connection.recv()
        except (EOFError, OSError) as lost:
            if isinstance(lost, TimeoutError):
                raise
            self.process.join(1.0)
            raise EOFError(f"its process has died, exit code {self.process.exitcode}") from lost
        if error is not None:
            raise error
        return result


def _serve(make: Callable[[], gym.Env], connection: Connection, parent: Connection) -> None:
    """Make the environment and execute calls until the connection closes."""
    parent.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the learner, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    env: Any = None

    def generator(new: np.random.Generator | None = None) -> np.random.Generator:
        """Set the environment's random generator, if `new` is given, and return it."""
        if new is not None:
            env.unwrapped.np_random = new
        return env.unwrapped.np_random

    def start() -> tuple[Any, ...]:
        """Make the environment and return its spaces and metadata."""
        nonlocal env
        env = make()
        return env.observation_space, env.action_space, env.metadata

    with suppress(EOFError, OSError):
        connection.send(_capture(start))
        if env is None:
            return
        functions = {"step": env.step, "reset": env.reset, "generator": generator}
        while True:
            name, args, kwargs = connection.recv()
            result = _capture(functions[name], *args, **kwargs)
            _, error = sent = _capture(connection.send, result)
            if error is not None:  # for instance, an info that cannot be pickled
                connection.send(sent)


def _capture(
    function: Callable[..., Any], *args: Any, **kwargs: Any
) -> tuple[Any, Exception | None]:
    """Call `function`; return its result and None, or None and an exception that can be pickled."""
    try:
        return function(*args, **kwargs), None
    except ValueError as error:
        return None, ValueError(str(error))
    except Exception as error:
        return None, RuntimeError(f"{type(error).__name__}: {error}")


class AsyncEnvs(SyncVectorEnv):
    """A vector of environments, each an `EnvProcess` at its core, that start and step in parallel.

    Args:
        env_fns: start the processes.
        options: further arguments of `SyncVectorEnv`.
    """

    def __init__(self, env_fns: Sequence[Callable[[], gym.Env]], **options: Any):
        """Start up to `STARTING` processes at a time, and wait until all are ready.

        Raises:
            Exception: an environment cannot be made; all processes have been stopped.
        """
        envs: list[gym.Env] = []
        try:
            for n, start in enumerate(env_fns):
                envs.append(start())
                if n >= STARTING:
                    _process(envs[n - STARTING]).wait()
            for env in envs:
                _process(env).wait()
            super().__init__([lambda env=env: env for env in envs], **options)
        except Exception:
            for env in envs:
                env.close()
            raise

    def step(self, actions: Any) -> Any:
        """Start the steps of all environments, then wait for their results in order."""
        for env, action in zip(self.envs, iterate(self.action_space, actions), strict=True):
            _process(env).step_async(action)
        return super().step(actions)


def _process(env: gym.Env) -> EnvProcess:
    """Return the process at the core of a wrapped environment."""
    process = env.unwrapped
    assert isinstance(process, EnvProcess)
    return process
