"""Names that earlier versions used in the files of a run, and what they are called now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

RESULTS = {
    f"{name}_at_max_length": f"{name}_at_hardest"
    for name in ("eval.success", "eval.share", "eval_sampled.success")
}
"""Keys of `results.json`."""
TRAINER = {"governor": "schedule", "good": "mastered"}
"""Keys of the trainer's state in a checkpoint."""
SCHEDULE = {
    "phase_from": "phase_start",
    "solved_at": "solved_step",
    "rate": "collapse_scale",
    "calm": "plateau_scale",
    "near_from": "plateau_start",
}
"""Keys of the schedule's state within it."""
ADDED: dict[str, Any] = {
    "actor": {"tells_success": False},
    "schedule": {"curriculum": {"returns": [], "lengths": [], "easier": []}},
}
"""Values of keys that were added to the trainer's state."""
OBS_STATS = tuple(f".scale.{name}" for name in ("mean", "variance", "count"))
"""How the names of the weights end that hold the scale of observed numbers."""
REWARD_SCALE = "embedding.reward_scale"
"""Where the weights of an agent hold the scale of its rewards."""


def rename_results(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a `results.json` under its present keys."""
    return _rename(results, RESULTS)


def rename_trainer_state(state: Any) -> Any:
    """Return a trainer's state under its present keys.

    What early versions did not have gets the value that it would have had. Whatever is no state is
    returned as it is.
    """
    if not isinstance(state, dict):
        return state
    if TRAINER.keys() <= state.keys():
        state = _rename(state, TRAINER)
        if isinstance(state["schedule"], dict):
            state["schedule"] = _rename(state["schedule"], SCHEDULE)
    return _complete(state, ADDED)


def complete_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an agent's weights with what earlier versions did not have: horizon, reward scale.

    Without a horizon, lifetimes and ages are as they were; with a reward scale of 1, rewards are.
    """
    heads = [name.removesuffix("head.scale") for name in weights if name.endswith("head.scale")]
    horizons = {f"{name}horizon.tested": torch.zeros(()) for name in heads}
    weights = horizons | dict(weights)
    if "embedding.reward.weight" not in weights or f"{REWARD_SCALE}.rms" in weights:
        return dict(weights)
    one = torch.ones((), dtype=torch.float64)
    return {**weights, **{f"{REWARD_SCALE}.{name}": one for name in ("rms", "_squares", "_count")}}


def complete_obs_stats(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return an agent's weights with the scales of observed numbers, where they have none.

    The agents of earlier versions read numbers by their logarithm. They do so for ever: a negative
    count says that a scale is not used.

    Args:
        weights: of an agent.
        expected: weights of the agent that they are for.
    """
    completed = dict(weights)
    for name, value in expected.items():
        if name.endswith(OBS_STATS) and name not in weights:
            completed[name] = torch.zeros_like(value) - float(name.endswith("count"))
    return completed


def complete_trainer_state(state: Any, expected: Mapping[str, Tensor]) -> Any:
    """Return a trainer's state with `complete_obs_stats` of all the weights in it.

    Whatever is no state is returned as it is.
    """
    if not isinstance(state, dict) or not isinstance(state.get("mastered"), list):
        return state
    current, *kept = (_complete_agent(part, expected) for part in (state, *state["mastered"]))
    return {**current, "mastered": kept}


def _complete_agent(part: Any, expected: Mapping[str, Tensor]) -> Any:
    """Return a part of a trainer's state with `complete_obs_stats` of its weights, if any."""
    if not isinstance(part, dict) or not isinstance(part.get("agent"), dict):
        return part
    return part | {"agent": complete_obs_stats(part["agent"], expected)}


def _complete(state: dict[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Return `state` with what it lacks of `added`, but without parts that it does not have."""
    for key, value in added.items():
        if not isinstance(value, dict):
            state = {key: value} | state
        elif isinstance(state.get(key), dict):
            part = _complete(state[key], value)
            state = state if part is state[key] else state | {key: part}
    return state


def _rename(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy with the keys in `names` replaced."""
    return {names.get(key, key): value for key, value in content.items()}
