"""Names of an environment's actions, for the labels of videos and pages."""

from __future__ import annotations

from collections.abc import Sequence
from enum import EnumMeta
from typing import Any, TypeGuard

import gymnasium as gym


def action_names(env: gym.Env, default: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each discrete action, or each part of an action.

    An environment names them with an attribute `action_names`, a sequence of as many strings as
    `default`; it is looked up on `env.unwrapped`, then in `env.metadata`. MiniGrid's environments
    have an enum `actions` instead.

    Args:
        env: The environment, wrapped or not.
        default: Names where the environment has none.
    """
    core, count = env.unwrapped, len(default)
    for names in (
        getattr(core, "action_names", None),
        (env.metadata or {}).get("action_names"),
        _enum_names(getattr(core, "actions", None), count),
    ):
        if _is_names(names, count):
            return tuple(names)
    return tuple(default)


def _is_names(value: Any, count: int) -> TypeGuard[Sequence[str]]:
    """Return whether `value` is a sequence of `count` strings."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == count
        and all(isinstance(name, str) for name in value)
    )


def _enum_names(actions: Any, count: int) -> list[str] | None:
    """Return the names of the enum members with values 0 to `count` - 1; None without them all.

    Some of MiniGrid's environments have fewer actions than the enum has members.
    """
    if not isinstance(actions, EnumMeta):
        return None
    members: list[Any] = list(actions)
    names = {member.value: member.name.replace("_", " ") for member in members}
    return [names[n] for n in range(count)] if all(n in names for n in range(count)) else None
