"""Agents that somebody has trained before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym

from agents import AGENT_CONFIGS, make_agent
from rl_expire.runs.policy import read_policy, set_weights
from rl_expire.types import Agent


def load_policy(
    source: str | Path,
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    revision: str | None = None,
) -> Agent[Any]:
    """Return a trained agent on the CPU; opening it runs no code of its author's.

    Args:
        source: a folder made by `rl-expire export`, or the id `owner/name` of a repository on the
            Hugging Face Hub, for which `huggingface_hub` must be installed.
        observation_space: of the environment that it is to play.
        action_space: likewise.
        revision: branch, tag or commit on the Hub.

    Raises:
        ValueError: it cannot be fetched or read, is of an agent that this version does not know, or
            does not fit the spaces.
    """
    config, weights = read_policy(source, revision=revision)
    try:
        name, options = config["agent"]["name"], config["agent"]["options"]
        agent = make_agent(observation_space, action_space, AGENT_CONFIGS[name](**options))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{source}: its config.json has no agent of this version ({error})"
        ) from error
    try:
        set_weights(agent, weights)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return agent
