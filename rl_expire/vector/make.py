"""How environments are made from their id: wrapped, in batches, and guarded where they may fail."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Literal

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from rl_expire.vector.faults import Guard
from rl_expire.vector.process import AsyncEnvs, EnvProcess
from rl_expire.vector.tokenize_text import tokenize_text


@dataclass(frozen=True)
class EnvConfig:
    """What `config.json` says of how environments are made, besides their id and options.

    Attributes:
        wrappers: import paths `module:Class`, the innermost first.
        vectorization: `native` is the environment's own batched form; `sync` steps one environment
            after the other, `async` each in a process of its own; `auto` is native where there is
            one that can be used, else sync.
        restart: whether an environment that fails is rebuilt.
        most_faults: in a row, of one environment, after which it is not rebuilt any more.
        timeout: seconds that an answer may take, if async.
        solved_return: at which an episode is a success, where its info does not say.
    """

    wrappers: tuple[str, ...] = ()
    vectorization: Literal["auto", "native", "sync", "async"] = "auto"
    restart: bool = False
    most_faults: int = 3
    timeout: float = 60.0
    solved_return: float | None = None

    @staticmethod
    def of(entry: Mapping[str, Any]) -> EnvConfig:
        """Return what the entry `env` of a run's configuration says.

        Raises:
            TypeError: it says something unknown.
        """
        said = dict(entry.get("making", {}))
        return EnvConfig(**{**said, "wrappers": tuple(said.get("wrappers", ()))})


PLAIN = EnvConfig()


def make_envs(
    env_id: str, num_envs: int, options: dict[str, Any], env_config: EnvConfig = PLAIN
) -> VectorEnv:
    """Make `num_envs` environments that reset themselves.

    Raises:
        ValueError: the environment is unknown or refuses its options, or a wrapper it.
    """
    mode = env_config.vectorization
    try:
        if mode == "auto":
            batched = spec_of(env_id).vector_entry_point is not None
            mode = (
                "native" if batched and not (env_config.wrappers or env_config.restart) else "sync"
            )
        if mode == "native":
            return gym.make_vec(env_id, num_envs, "vector_entry_point", **options)
        make = partial(_make_one, spec_of(env_id), options, env_config.wrappers)
        if mode == "async":
            make = partial(EnvProcess, make, env_config.timeout)
        guard = partial(Guard, make, restart=env_config.restart, most=env_config.most_faults)
        kind = AsyncEnvs if mode == "async" else SyncVectorEnv
        rows = [partial(guard, row) for row in range(num_envs)]
        return kind(rows, autoreset_mode=AutoresetMode.SAME_STEP)
    except ValueError:
        raise
    except Exception as error:  # whatever somebody's environment raises
        raise ValueError(f"environment {env_id} cannot be made: {error}") from error


def spec_of(env_id: str) -> EnvSpec:
    """Return what is registered under `env_id`, or `module:ID`, the module imported first.

    Raises:
        ValueError: nothing is.
    """
    module, _, name = env_id.rpartition(":")
    try:
        if module:
            _import(module)
        return gym.spec(name)
    except Exception as error:
        raise ValueError(f"environment {env_id} is unknown: {error}") from error


def make_env(env_id: str, options: dict[str, Any], wrappers: tuple[str, ...] = ()) -> gym.Env:
    """Make one environment that can be rendered.

    Raises:
        ValueError: the environment is unknown, refuses its options or cannot render frames.
    """
    try:
        return _make_one(spec_of(env_id), options | {"render_mode": "rgb_array"}, wrappers)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"environment {env_id} cannot be made: {error}") from error


def renders(env_id: str, options: dict[str, Any]) -> bool:
    """Whether the environment can be shown: it has frames in the mode `rgb_array`."""
    env = gym.make(env_id, **options)
    env.close()
    return "rgb_array" in env.metadata.get("render_modes", ())


def _make_one(spec: EnvSpec, options: dict[str, Any], wrappers: tuple[str, ...]) -> gym.Env:
    """Make one environment and put its wrappers around it; text becomes tokens."""
    env = gym.make(spec, **options)
    for path in wrappers:
        wrapper = imported(path)
        try:
            env = wrapper(env)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise ValueError(f"--wrappers {path} cannot wrap {spec.id} ({said})") from error
    return tokenize_text(env)


def imported(path: str) -> Callable[[gym.Env], Any]:
    """Return the wrapper at `module:Class`; modules beside the working directory are found.

    Raises:
        ValueError: there is none.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ValueError(f"--wrappers {path} is no module:Class, such as envs.masked:MaskVelocity")
    try:
        found = getattr(_import(module), name)
    except Exception as error:
        raise ValueError(f"--wrappers {path} cannot be imported: {error}") from error
    if not callable(found):
        raise ValueError(f"--wrappers {path} is {type(found).__name__}: give a class or function")
    return found


def _import(module: str) -> ModuleType:
    """Import a module, also from the working directory."""
    if "" not in sys.path:
        sys.path.append("")
    return importlib.import_module(module)
