"""Two runs side by side: check that they can be shown together, and name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import AGENT_CONFIGS
from rl_expire.retention.pair import Pair
from rl_expire.retention.trace import Trace

Config = dict[str, Any]
"""The content of a run's `config.json`."""


def check_same_env(paths: Sequence[Path], configs: Sequence[Config]) -> None:
    """Check that all runs are of one environment with the same options.

    Args:
        paths: the run folders.
        configs: of each.

    Raises:
        ValueError: a run differs from the first; the message names the difference.
    """
    for path, config in zip(paths[1:], configs[1:], strict=True):
        for name, (first, other) in _options(configs[0], config).items():
            if first != other:
                raise ValueError(
                    f"--compare {path}: its {name} is {other}, that of {paths[0]} is {first}: "
                    "give two runs of the same environment"
                )


def _options(one: Config, two: Config) -> dict[str, tuple[Any, Any]]:
    """Return everything that decides the episodes, by name: the values of both runs."""
    first, second = one["env"]["options"], two["env"]["options"]
    found = {"environment": (one["env"]["id"], two["env"]["id"])}
    wrapped = [config["env"].get("making", {}).get("wrappers", []) for config in (one, two)]
    found["--wrappers"] = (wrapped[0], wrapped[1])
    for name in first | second:
        option = f"--env.{name.replace('_', '-')}"
        found[option] = (first.get(name, "unknown"), second.get(name, "unknown"))
    return found


def pairs(
    paths: Sequence[Path], configs: Sequence[Config], played: Sequence[Sequence[Trace]]
) -> list[Pair]:
    """Return the episodes of two runs side by side.

    Args:
        paths: the run folders, added to the titles if both agents have the same title.
        configs: of each.
        played: the episodes of each, with the same seeds.
    """
    one, two = (title(config["agent"]) for config in configs)
    if one == two:
        one, two = (f"{name}: {path}" for name, path in zip((one, two), paths, strict=True))
    return [Pair(traces, (one, two)) for traces in zip(played[0], played[1], strict=True)]


def title(agent: dict[str, Any]) -> str:
    """Return the agent's name, with its memory size if that is not the default."""
    name = agent["name"]
    config: type[Any] = AGENT_CONFIGS[name]
    if config.size_option is None:
        return name
    default = getattr(config, config.size_option)
    size = agent["options"].get(config.size_option, default)
    return name if size == default else f"{name} {size}"
