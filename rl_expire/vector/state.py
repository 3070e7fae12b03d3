"""Save and restore vector environments: exactly where they support it, else with new episodes."""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from gymnasium.vector import VectorEnv

from rl_expire.validate import check_keys


@runtime_checkable
class Resumable(Protocol):
    """Environments whose complete state can be saved, in the middle of episodes."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of arrays that determine all future steps."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` does not fit; nothing has changed.
        """
        ...


def env_state(envs: VectorEnv) -> dict[str, Any]:
    """Return the state of `envs` for a checkpoint.

    Returns:
        The complete state, under `exact`, if `envs` is `Resumable`. Otherwise the states of the
        environments' random generators, under `generators`: an empty list if they cannot be read,
        as after a fault.
    """
    if isinstance(envs, Resumable):
        return {"exact": envs.state_dict()}
    try:
        generators = cast(Any, envs).get_attr("np_random")
        return {"generators": [g.bit_generator.state for g in generators]}
    except Exception:  # an environment may raise anything, and the weights must still be saved
        return {"generators": []}


def load_env_state(envs: VectorEnv, state: Any) -> Any | None:
    """Restore the state that `env_state` returned.

    Returns:
        None if the environments continue exactly. Otherwise observations and info of new episodes,
        as `reset` returns them.

    Raises:
        ValueError: `state` does not fit `envs`; nothing has changed.
    """
    if isinstance(envs, Resumable):
        check_keys(state, ("exact",), "envs")
        envs.load_state_dict(state["exact"])
        return None
    check_keys(state, ("generators",), "envs")
    generators = [_generator(generator) for generator in state["generators"]]
    if generators and len(generators) != envs.num_envs:
        raise ValueError(f"envs/generators is not a list of length {envs.num_envs}")
    if generators:
        cast(Any, envs).set_attr("np_random", generators)
    return envs.reset()


def _generator(state: Any) -> np.random.Generator:
    """Return a generator of the kind that Gymnasium uses, in `state`.

    Raises:
        ValueError: `state` is not the state of one.
    """
    bits = np.random.PCG64()
    try:
        bits.state = state
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"envs/generators: {error}") from error
    return np.random.Generator(bits)
