"""How environments are saved and go on: exactly where they can say how, else with new episodes."""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from gymnasium.vector import VectorEnv

from rl_expire.validate import check_keys


@runtime_checkable
class Resumable(Protocol):
    """Environments that can be saved in the middle of their episodes."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of arrays that decide everything to come."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            ValueError: `state` does not fit; nothing has changed then.
        """
        ...


def env_state(envs: VectorEnv) -> dict[str, Any]:
    """Return the state of `envs`, or where they have none, that of their random generators.

    No generators at all where they cannot be had: some vector environments have no parts, and an
    environment that has failed may give none.
    """
    if isinstance(envs, Resumable):
        return {"exact": envs.state_dict()}
    try:
        generators = cast(Any, envs).get_attr("np_random")
        return {"generators": [g.bit_generator.state for g in generators]}
    except Exception:  # whatever an environment raises, what was learned is to be saved
        return {"generators": []}


def load_env_state(envs: VectorEnv, state: Any) -> Any | None:
    """Let `envs` go on from `state`.

    Returns:
        None where they go on exactly; else the observations of new episodes, which their
        generators begin, and the info: what `reset` returned.

    Raises:
        ValueError: `state` is not theirs; nothing has changed then.
    """
    if isinstance(envs, Resumable):
        check_keys(state, ("exact",), "envs")
        envs.load_state_dict(state["exact"])
        return None
    check_keys(state, ("generators",), "envs")
    generators = [_generator(found) for found in state["generators"]]
    if generators and len(generators) != envs.num_envs:
        raise ValueError(f"envs/generators is not a list of {envs.num_envs}")
    if generators:
        cast(Any, envs).set_attr("np_random", generators)
    return envs.reset()


def _generator(state: Any) -> np.random.Generator:
    """Return a generator of Gymnasium's kind in `state`."""
    bits = np.random.PCG64()
    try:
        bits.state = state
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"envs/generators: {error}") from error
    return np.random.Generator(bits)
