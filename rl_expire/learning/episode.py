"""Finished episodes, and whether each was a success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rl_expire.types import InfoKey


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        row: index of the environment in the batch.
        total_reward: undiscounted sum of rewards.
        steps: number of actions taken.
        info: the scalars of the environment's final info. `success` is there wherever it can be
            determined, see `success_of`.
    """

    row: int
    total_reward: float
    steps: int
    info: dict[str, float]


def success_of(
    info: Mapping[str, Any], total_reward: float, solved_return: float | None
) -> Any | None:
    """Return whether an episode was a success.

    Args:
        info: the environment's final info; its `success` or `is_success` comes first.
        total_reward: the episode's return.
        solved_return: return from which on an episode is a success, if `info` does not say.

    Returns:
        The value found in `info`, or a bool; None if neither decides.
    """
    for name in (InfoKey.SUCCESS, InfoKey.IS_SUCCESS):
        if name in info:
            return info[name]
    return None if solved_return is None else total_reward >= solved_return


def with_success(episode: Episode, solved_return: float | None) -> Episode:
    """Return `episode` with `success` in its info, if it can be determined."""
    success = success_of(episode.info, episode.total_reward, solved_return)
    if success is None:
        return episode
    return replace(episode, info={**episode.info, InfoKey.SUCCESS: float(success)})


def episode_from_dict(state: Any) -> Episode:
    """Return the episode that `dataclasses.asdict` turned into `state`.

    Raises:
        ValueError: `state` does not describe an episode.
        TypeError: it lacks a field, or has an unknown one.
    """
    episode = Episode(**state)
    types = type(episode.row), type(episode.total_reward), type(episode.steps), type(episode.info)
    if types != (int, float, int, dict) or {type(v) for v in episode.info.values()} - {float}:
        raise ValueError("an episode has a field of the wrong type")
    return episode
