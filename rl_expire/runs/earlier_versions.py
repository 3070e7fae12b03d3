"""Names that earlier versions used in the files of a run, and what they are called now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def rename_results(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a `results.json` under its present keys."""
    return _rename(results, RESULTS)


def rename_trainer_state(state: Any) -> Any:
    """Return a trainer's state under its present keys.

    The states of present versions, and whatever is no state, are returned as they are.
    """
    if not isinstance(state, dict) or not TRAINER.keys() <= state.keys():
        return state
    renamed = _rename(state, TRAINER)
    if isinstance(renamed["schedule"], dict):
        renamed["schedule"] = _rename(renamed["schedule"], SCHEDULE)
    return renamed


def _rename(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy with the keys in `names` replaced."""
    return {names.get(key, key): value for key, value in content.items()}
