"""Load trained agents."""

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
    """Return a trained agent on the CPU. Loading runs no code from the source.

    Args:
        source: a folder written by `rl-expire export`, or the id `owner/name` of a repository on
            the Hugging Face Hub, which needs `huggingface_hub` to be installed.
        observation_space: observation space of the environment to play.
        action_space: action space of the environment to play.
        revision: branch, tag or commit on the Hub.

    Raises:
        ValueError: the policy cannot be fetched or read, holds an agent unknown to this version, or
            does not fit the spaces.
    """
    config, weights = read_policy(source, revision=revision)
    try:
        name, options = config["agent"]["name"], config["agent"]["options"]
        agent = make_agent(observation_space, action_space, AGENT_CONFIGS[name](**options))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{source}: config.json describes no agent that this version can build ({error})"
        ) from error
    try:
        set_weights(agent, weights)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return agent
