"""The options that decide the result of a run, and how two runs differ in them."""

from __future__ import annotations

from typing import Any

from experiments.command_line.errors import flag
from experiments.training.experiment import GROUPS
from experiments.training.resume import MAY_CHANGE

Options = dict[str, dict[str, Any]]
"""Options by group and name, as in `config.json`."""
LEARNING_RATES = (("ppo", "learning_rate"), ("forgetting", "learning_rate"))
WITHOUT_EFFECT = set(MAY_CHANGE) - set(LEARNING_RATES) - {("train", "total_steps")}
"""Options on which the result does not depend."""


def resolved(config: dict[str, Any]) -> Options:
    """Return the options in the content of a `config.json` that decide the result.

    Raises:
        LookupError: it is not such a content.
    """
    groups = {
        "": config["env"].get("making", {}),  # wrappers and the like, options without a prefix
        "env": config["env"]["options"],
        "agent": {"name": config["agent"]["name"], **config["agent"]["options"]},
        **{group: config[group] for group in GROUPS},
    }
    return {
        group: {n: _plain(v) for n, v in options.items() if (group, n) not in WITHOUT_EFFECT}
        for group, options in groups.items()
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def first_difference(before: Options, now: Options) -> str | None:
    """Return the first option that differs, as `--ppo.clip 0.1, not 0.2`; None if none does."""
    for group in before.keys() | now.keys():
        old, new = before.get(group, {}), now.get(group, {})
        for name in [*old, *(name for name in new if name not in old)]:
            option = flag(f"{group}.{name}" if group else name)
            if name not in new:
                return f"{option}, which there is no more"
            if name not in old:
                return f"no {option}, which is {new[name]} now"
            if old[name] != new[name]:
                return f"{option} {old[name]}, not {new[name]}"
    return None
