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
