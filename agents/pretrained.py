"""Load trained agents."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from torch import Tensor

from agents import AGENT_CONFIGS, AgentConfig, make_agent
from agents.blocks.config import LayersConfig
from agents.encoders.pixels import channel_axis
from rl_expire.runs.policy import read_policy, set_weights
from rl_expire.types import Agent
from rl_expire.validate import options_from_json
from rl_expire.vector.cells import is_cells
from rl_expire.vector.faults import error_summary
from rl_expire.vector.nest import leaves


def load_agent(
    source: str | Path,
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    revision: str | None = None,
) -> Agent[Any]:
    """Return a trained agent on the CPU. Loading runs no code from the source.

    Args:
        source: a folder written by `rl-expire export`, a run folder, or the id `owner/name` of a
            repository on the Hugging Face Hub, which needs `huggingface_hub` to be installed.
        observation_space: observation space of the environment to play.
        action_space: action space of the environment to play.
        revision: branch, tag or commit on the Hub.

    Raises:
        ValueError: the policy cannot be fetched or read, holds an agent unknown to this version, or
            does not fit the spaces.
    """
    config, weights = read_policy(source, revision=revision)
    return agent_of(source, config, weights, observation_space, action_space)


def agent_of(
    source: str | Path,
    config: dict[str, Any],
    weights: dict[str, Tensor],
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    stored_spaces: bool = False,
) -> Agent[Any]:
    """Return the agent that `read_policy` has read, on the CPU.

    Args:
        source: what was read, for the message of an error.
        config: the configuration.
        weights: the trained weights, by name.
        observation_space: observation space of the environment to play.
        action_space: action space of the environment to play.
        stored_spaces: whether the spaces are from the configuration, and may be of any size.

    Raises:
        ValueError: the agent is unknown to this version, or does not fit the spaces.
    """
    try:
        agent_config = read_agent_config(config.get("agent"))
    except ValueError as error:
        raise ValueError(
            f"{source}: config.json describes no agent that this version can build ({error})"
        ) from error
    try:
        if stored_spaces:
            check_spaces(observation_space, action_space, agent_config, weights)
        return agent_with_weights(observation_space, action_space, agent_config, weights)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def read_agent_config(entry: Any) -> AgentConfig:
    """Return the options of the agent that the entry `agent` of a `config.json` describes.

    Raises:
        ValueError: this version has no such agent, or the agent no such options.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ValueError("agent has no name")
    name = entry["name"]
    if name not in AGENT_CONFIGS:
        raise ValueError(f"agent {name[:40]!r} is unknown, known are {', '.join(AGENT_CONFIGS)}")
    return options_from_json(AGENT_CONFIGS[name], entry.get("options"), "agent/options")


def agent_with_weights(
    observation_space: gym.Space,
    action_space: gym.Space,
    config: AgentConfig,
    weights: dict[str, Tensor],
) -> Agent[Any]:
    """Return an agent with trained weights.

    An agent with the options `LayersConfig` that is larger than `weights` is refused before it is
    built, so that sizes in a file cannot exhaust memory.

    Args:
        observation_space: observation space of the environment to play.
        action_space: action space of the environment to play.
        config: the agent's options.
        weights: the trained weights, by name.

    Raises:
        ValueError: the agent cannot be built, or the weights do not fit it.
    """
    if isinstance(config, LayersConfig):
        _check_size(config, weights)
    try:
        agent = make_agent(observation_space, action_space, config)
    except (ArithmeticError, MemoryError, RuntimeError, TypeError) as error:
        raise ValueError(f"the agent cannot be built: {error_summary(error)}") from error
    set_weights(agent, weights)
    return agent


def _check_size(config: LayersConfig, weights: dict[str, Tensor]) -> None:
    """Check that there are enough weights for an agent with these options.

    Raises:
        ValueError: there are too few.
    """
    numbers = sum(value.numel() for value in weights.values())
    # Each layer has several tensors, and matrices of at least this size.
    least = config.layers * config.width**2 * config.feed_forward
    if config.layers > len(weights) or least > numbers:
        raise ValueError(
            f"it does not fit the agent: it holds {numbers:,} numbers, too few for "
            f"{config.layers:,} layers of width {config.width:,}"
        )


def check_spaces(
    observation_space: gym.Space,
    action_space: gym.Space,
    config: AgentConfig,
    weights: dict[str, Tensor],
) -> None:
    """Check that there are enough weights for spaces that come with them, before an agent is built.

    Raises:
        ValueError: there are too few; the agent would not fit, and might exhaust memory.
    """
    width = config.width if isinstance(config, LayersConfig) else 1
    parts = [*leaves(observation_space).values(), *leaves(action_space).values()]
    least = width * sum(_rows(space) for space in parts)
    numbers = sum(value.numel() for value in weights.values())
    if least > numbers:
        raise ValueError(
            f"it does not fit the agent: it holds {numbers:,} numbers, too few for the "
            f"{least:,} that its spaces ask for"
        )


def _rows(space: gym.Space) -> int:
    """Return how many weights, of the agent's width each, a space without parts asks for at least.

    Each number, token and category has weights of its own; the pixels of an image share theirs.
    """
    image = (
        isinstance(space, spaces.Box) and not is_cells(space) and channel_axis(space) is not None
    )
    numbers = 0 if image else math.prod(space.shape or ())
    if isinstance(space, spaces.Discrete):
        return numbers + int(space.n)
    return numbers + int(space.nvec.max()) if isinstance(space, spaces.MultiDiscrete) else numbers
