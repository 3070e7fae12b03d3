"""Two runs side by side: whether they can be shown so, and what to call them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import AGENT_CONFIGS
from rl_expire.retention.pair import Pair
from rl_expire.retention.trace import Trace

Config = dict[str, Any]
"""What a run's `config.json` says."""


def check_same_env(paths: Sequence[Path], configs: Sequence[Config]) -> None:
    """Refuse runs whose episodes are not the same ones.

    Args:
        paths: the run folders.
        configs: of each.

    Raises:
        ValueError: environments or their options differ from the first's; the message says in what.
    """
    for path, config in zip(paths[1:], configs[1:], strict=True):
        for name, (ours, theirs) in _options(configs[0], config).items():
            if ours != theirs:
                raise ValueError(
                    f"--compare {path}: its {name} is {theirs}, that of {paths[0]} is {ours}: "
                    "give two runs of the same environment"
                )


def _options(one: Config, two: Config) -> dict[str, tuple[Any, Any]]:
    """Return what decides the episodes, by name: the value in both runs."""
    ours, theirs = one["env"]["options"], two["env"]["options"]
    found = {"environment": (one["env"]["id"], two["env"]["id"])}
    wrapped = [config["env"].get("making", {}).get("wrappers", []) for config in (one, two)]
    found["--wrappers"] = (wrapped[0], wrapped[1])
    for name in ours | theirs:
        option = f"--env.{name.replace('_', '-')}"
        found[option] = (ours.get(name, "unknown"), theirs.get(name, "unknown"))
    return found


def pairs(
    paths: Sequence[Path], configs: Sequence[Config], played: Sequence[Sequence[Trace]]
) -> list[Pair]:
    """Return the episodes of two runs side by side.

    Args:
        paths: the run folders, added to the titles of agents that are called the same.
        configs: of each.
        played: the episodes of each, of the same seeds.
    """
    one, two = (title(config["agent"]) for config in configs)
    if one == two:
        one, two = (f"{name}: {path}" for name, path in zip((one, two), paths, strict=True))
    return [Pair(traces, (one, two)) for traces in zip(played[0], played[1], strict=True)]


def title(agent: dict[str, Any]) -> str:
    """Return the agent's name, with its memory size where that is not the usual one."""
    name = agent["name"]
    config: type[Any] = AGENT_CONFIGS[name]
    if config.size_option is None:
        return name
    usual = getattr(config, config.size_option)
    size = agent["options"].get(config.size_option, usual)
    return name if size == usual else f"{name} {size}"
