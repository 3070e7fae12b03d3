"""From command-line options to environments and agents, and from a run folder back to them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from agents import AGENT_CONFIGS, AgentConfig, make_agent
from experiments.cli import at_least
from rl_expire.runs.policy import WEIGHTS, read_policy, set_weights, weights_of
from rl_expire.runs.run_folder import RunFolder, RunFolderError
from rl_expire.vector.make import EnvConfig, make_envs


def use_threads(threads: int) -> None:
    """Let Torch use `threads` CPU threads; 0: as many as there are cores.

    Raises:
        ValueError: `threads` is below 0.
    """
    at_least(0, threads=threads)
    if threads:
        torch.set_num_threads(threads)


def agent_entry(config: AgentConfig) -> dict[str, Any]:
    """Return what `config.json` says of the agent."""
    return {"name": config.name, "options": asdict(config)}


def load_run(path: Path, device: torch.device) -> tuple[RunFolder, dict[str, Any], Any]:
    """Open a run: its folder, its configuration and its trained agent.

    Raises:
        RunFolderError: `path` is not a run, or was made by an agent or environment unknown here.
    """
    run, config = RunFolder.open(path)
    try:
        env_id, options = config["env"]["id"], config["env"]["options"]
        env_config = EnvConfig.of(config["env"])
        name, agent_options = config["agent"]["name"], config["agent"]["options"]
    except (KeyError, TypeError, AttributeError):
        raise RunFolderError(f"{run.config} is not the configuration of a run") from None
    if name not in AGENT_CONFIGS:
        known = ", ".join(AGENT_CONFIGS)
        raise RunFolderError(f"{path} was trained with agent {name!r}: this version knows {known}")
    try:
        vector = make_envs(env_id, 1, options, env_config)
    except ValueError as error:
        raise RunFolderError(f"{path}: {error}") from error
    vector.close()
    spaces = vector.single_observation_space, vector.single_action_space
    try:
        agent = make_agent(*spaces, AGENT_CONFIGS[name](**agent_options))
    except TypeError as error:
        raise RunFolderError(
            f"{run.config} does not have the options of this version's agent ({error}): "
            "choose another run"
        ) from error
    if (path / WEIGHTS).exists():  # what rl-expire export made is opened as well
        _, weights = read_policy(path)
        set_weights(agent, weights)
    else:
        run.checkpoints.load(lambda state: set_weights(agent, weights_of(state)))
    return run, config, agent.to(device)
