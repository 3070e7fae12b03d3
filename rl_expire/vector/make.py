"""Make environments from their id: wrapped, vectorized and guarded."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import ModuleType
from typing import Any, Literal

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from rl_expire.validate import OptionError, check_range, options_from_json
from rl_expire.vector.faults import Guard, close_envs, error_summary
from rl_expire.vector.minigrid_success import rewards_only_success
from rl_expire.vector.plain_info import PlainInfo
from rl_expire.vector.process import AsyncEnvs, EnvProcess
from rl_expire.vector.reading import Reading, apply_reading, decide_reading
from rl_expire.vector.stored_spaces import spaces_entry


@dataclass(frozen=True)
class EnvConfig:
    """How environments are made, apart from their id and keyword arguments.

    Attributes:
        wrappers: import paths `module:Class`, the innermost wrapper first.
        vectorization: `native`: the environment's own vectorized form; `sync`: one environment
            after the other in this process; `async`: each environment in its own process; `auto`:
            native if there is one and nothing below rules it out, else sync.
        restart: rebuild an environment that fails.
        most_faults: number of consecutive faults of an environment that are tolerated.
        timeout: seconds to wait for an environment in its own process.
        solved_return: return from which on an episode is a success, if its info does not say.
    """

    wrappers: tuple[str, ...] = ()
    vectorization: Literal["auto", "native", "sync", "async"] = "auto"
    restart: bool = False
    most_faults: int = 3
    timeout: float = 60.0
    solved_return: float | None = None

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> EnvConfig:
        """Return the configuration stored in the entry `env` of a run's `config.json`.

        Raises:
            ValueError: it has an unknown key or an invalid value.
        """
        return options_from_json(EnvConfig, entry.get("making", {}), "env/making")

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "most_faults", least=1)
        check_range(self, "timeout", above=0)


DEFAULT_ENV_CONFIG = EnvConfig()
REGISTER = (
    "to use an environment of your own, call gymnasium.register(id=ID, entry_point=...) in a "
    "module, and give module:ID"
)


def make_envs(
    env_id: str,
    num_envs: int,
    options: dict[str, Any],
    env_config: EnvConfig = DEFAULT_ENV_CONFIG,
) -> VectorEnv:
    """Make a vector environment with autoreset.

    Its observations are valid until the next step, which may write into the same arrays. Its
    metadata holds the spaces as an entry of `config.json`: see `rl_expire.vector.stored_spaces`.

    Args:
        env_id: id of a registered environment, or `module:ID`.
        num_envs: number of environments, B.
        options: keyword arguments of the environment.
        env_config: how to make it.

    Raises:
        ValueError: the environment is unknown or rejects its options, or a wrapper rejects it.
    """
    mode = env_config.vectorization
    try:
        if is_native(env_id, env_config):
            envs = gym.make_vec(env_id, num_envs, "vector_entry_point", **options)
            stored = spaces_entry(envs.single_observation_space, envs.single_action_space)
            envs.metadata = {**envs.metadata, **stored}
            return envs
        make = partial(_make_plain, find_spec(env_id), options, env_config, [])
        if mode == "async":
            for path in env_config.wrappers:  # report errors from here, not from another process
                _import_wrapper(path, env_config)
            make = partial(EnvProcess, make, env_config.timeout)
        guard = partial(Guard, make, restart=env_config.restart, max_faults=env_config.most_faults)
        vector_class = AsyncEnvs if mode == "async" else SyncVectorEnv
        guards = [partial(guard, row) for row in range(num_envs)]
        # Without copies: whoever keeps observations copies them (see `Actor`).
        return vector_class(guards, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
    except ValueError:
        raise
    except Exception as error:  # an environment may raise anything
        raise ValueError(f"environment {env_id} cannot be made: {error}") from error


def is_native(env_id: str, env_config: EnvConfig = DEFAULT_ENV_CONFIG) -> bool:
    """Return whether `make_envs` makes the environment's own vectorized form.

    Raises:
        ValueError: the environment is unknown.
    """
    if env_config.vectorization == "auto" and not (env_config.wrappers or env_config.restart):
        return find_spec(env_id).vector_entry_point is not None
    return env_config.vectorization == "native"


def find_spec(env_id: str) -> EnvSpec:
    """Return the spec of a registered environment.

    Args:
        env_id: its id, or `module:ID` to import the module that registers it first.

    Raises:
        ValueError: its module cannot be imported, or no such environment is registered.
    """
    module, _, name = env_id.rpartition(":")
    if env_id.endswith(".py") or module.endswith(".py"):
        raise ValueError(f"environment {env_id} is a file: {REGISTER}")
    try:
        imported = _import(module) if module else None
    except Exception as error:  # a module may raise anything
        problem = f"its module {module} cannot be imported ({error_summary(error)})"
        raise ValueError(f"environment {env_id}: {problem}") from error
    try:
        return gym.spec(name)
    except Exception as error:
        if callable(getattr(imported, name, None)):
            kind = "class" if isinstance(getattr(imported, name), type) else "function"
            raise ValueError(f"environment {env_id} is a {kind}, not an id: {REGISTER}") from error
        near = get_close_matches(name, gym.registry, n=3, cutoff=0.75)
        hint = f"did you mean {' or '.join(near)}?" if near else error
        raise ValueError(f"environment {env_id} is unknown: {hint} ({REGISTER})") from error


def make_env(
    env_id: str, options: dict[str, Any], env_config: EnvConfig = DEFAULT_ENV_CONFIG
) -> gym.Env:
    """Make one environment that renders RGB frames.

    Args:
        env_id: id of a registered environment, or `module:ID`.
        options: keyword arguments of the environment.
        env_config: how to make it; only the wrappers are used.

    Raises:
        ValueError: the environment is unknown, rejects its options or cannot render frames.
    """
    try:
        render = {"render_mode": "rgb_array"}
        return _make_one(find_spec(env_id), options | render, env_config, [])
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"environment {env_id} cannot be made: {error}") from error


def any_reward_is_success(
    env_id: str, options: dict[str, Any], env_config: EnvConfig = DEFAULT_ENV_CONFIG
) -> bool:
    """Return whether the environment rewards nothing but success, as MiniGrid's do.

    Args:
        env_id: id of a registered environment, or `module:ID`.
        options: keyword arguments of the environment.
        env_config: how to make it; only the wrappers are used.

    Raises:
        ValueError: the environment is unknown.
    """
    spec = find_spec(env_id)
    return rewards_only_success(spec, partial(_make_wrapped, spec, options, env_config))


def can_render(env_id: str, options: dict[str, Any]) -> bool:
    """Return whether the environment can render RGB frames."""
    env = gym.make(find_spec(env_id), **options)
    close_envs(env, f"environment {env_id}")
    return "rgb_array" in env.metadata.get("render_modes", ())


def _make_one(
    spec: EnvSpec, options: dict[str, Any], env_config: EnvConfig, readings: list[Reading]
) -> gym.Env:
    """Make one environment, apply its wrappers, and prepare its observations for agents.

    Args:
        spec: the spec and not the id, which may not be registered in another process.
        options: keyword arguments of the environment.
        env_config: its wrappers.
        readings: how to read its observations. If it is empty, that is decided and appended: pass
            the same list for all environments of a batch.

    Raises:
        OptionError: a wrapper cannot be imported or applied.
    """
    env = _make_wrapped(spec, options, env_config)
    if not readings:
        make = partial(_make_wrapped, spec, options, env_config)
        readings.append(decide_reading(env, make))
    stored = spaces_entry(env.observation_space, env.action_space, readings[0])
    env = apply_reading(env, readings[0])
    env.metadata = {**env.metadata, **stored}
    return env


def _make_wrapped(spec: EnvSpec, options: dict[str, Any], env_config: EnvConfig) -> gym.Env:
    """Make one environment and apply its wrappers."""
    env = gym.make(spec, **options)
    for path in env_config.wrappers:
        wrapper = _import_wrapper(path, env_config)
        try:
            env = wrapper(env)
        except Exception as error:
            problem = f"{path} cannot wrap {spec.id} ({type(error).__name__}: {error})"
            raise OptionError(env_config, "wrappers", problem) from error
    return env


def _make_plain(
    spec: EnvSpec, options: dict[str, Any], env_config: EnvConfig, readings: list[Reading]
) -> gym.Env:
    """Make one environment of a batch, with an `info` of numbers only."""
    return PlainInfo(_make_one(spec, options, env_config, readings))


def _import_wrapper(path: str, env_config: EnvConfig) -> Callable[[gym.Env], Any]:
    """Import the wrapper at `module:Class`, one of `env_config`.

    Raises:
        OptionError: there is none.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        problem = f"{path} is not of the form module:Class, such as envs.masked:MaskVelocity"
        raise OptionError(env_config, "wrappers", problem)
    try:
        wrapper = getattr(_import(module), name)
    except Exception as error:
        problem = f"{path} cannot be imported: {error}"
        raise OptionError(env_config, "wrappers", problem) from error
    if not callable(wrapper):
        problem = f"{path} is a {type(wrapper).__name__}: give a class or a function"
        raise OptionError(env_config, "wrappers", problem)
    return wrapper


def _import(module: str) -> ModuleType:
    """Import a module, also from the working directory."""
    if "" not in sys.path:
        sys.path.append("")
    return importlib.import_module(module)
