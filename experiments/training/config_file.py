"""What `config.json` holds: all options, resolved, and where they were used."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gymnasium as gym
import torch

from agents import AgentConfig
from experiments.training.experiment import Experiment
from experiments.training.restart import launch_entry
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.provenance import commit, hardware
from rl_expire.vector.make import EnvConfig
from rl_expire.vector.stored_spaces import SPACES


def configuration(options: Experiment) -> dict[str, Any]:
    """Return the content of `config.json`."""
    return {
        "env": env_entry(options),
        "agent": agent_entry(options.agent),
        "seed": options.seed,
        **group_entries(options),
        "commit": commit(),
        "hardware": hardware(),
        "versions": {"torch": torch.__version__, "gymnasium": gym.__version__},
        **launch_entry(),
    }


def stored_spaces(trainer: Trainer[Any]) -> dict[str, Any]:
    """Return the entry of the environment's spaces; nothing where it would be too large."""
    metadata = trainer.actor.metadata
    return {SPACES: metadata[SPACES]} if SPACES in metadata else {}


def env_entry(options: Experiment) -> dict[str, Any]:
    """Return the entry of the environment."""
    env_config = options.env_config()
    return {
        "id": options.id_of_env(),
        "options": options.env_options(),
        "level": options.level,
        "measure": options.measure,
        **({} if env_config == EnvConfig() else {"making": asdict(env_config)}),
    }


def agent_entry(config: AgentConfig) -> dict[str, Any]:
    """Return the entry of the agent."""
    return {"name": config.name, "options": asdict(config)}


def group_entries(options: Experiment) -> dict[str, Any]:
    """Return an entry for each other group of options."""
    return {name: asdict(getattr(options, name)) for name in options.groups}
