"""Finished episodes, and whether each was a success."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rl_expire.info import scalar
from rl_expire.types import InfoKey

SUCCESS_KEYS = (InfoKey.SUCCESS, InfoKey.IS_SUCCESS)
"""Keys of `info` under which success is read, the first one first."""


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
) -> float | None:
    """Return the success of an episode, 1 being perfect.

    Args:
        info: the environment's final info; its `success` or `is_success` comes first.
        total_reward: the episode's return.
        solved_return: return from which on an episode is a success, if `info` does not say.

    Returns:
        The number found in `info`, or else 0 or 1; None if neither decides.
    """
    for name in SUCCESS_KEYS:
        success = scalar(info.get(name))
        if success is not None:
            return success
    return None if solved_return is None else float(total_reward >= solved_return)


def success_rate(successes: Collection[float]) -> float:
    """Return the mean success of episodes; NaN if that of none is known.

    Args:
        successes: success of each; NaN where it is unknown. If that of any other is known, the
            environment tells success only where there is one, and these are failures.
    """
    known = [s for s in successes if not math.isnan(s)]
    return sum(known) / len(successes) if known else math.nan


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
