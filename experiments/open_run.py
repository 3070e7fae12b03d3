"""Open a run folder or an exported policy: its configuration and its trained agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from agents import AGENT_CONFIGS, make_agent
from rl_expire.runs.policy import WEIGHTS, agent_weights, read_policy, set_weights
from rl_expire.runs.run_folder import RunFolder, RunFolderError
from rl_expire.types import Agent
from rl_expire.vector.make import EnvConfig, make_envs


def load_run(path: Path, device: torch.device) -> tuple[RunFolder, dict[str, Any], Agent[Any]]:
    """Return a run: its folder, its configuration and its trained agent.

    Raises:
        RunFolderError: `path` is not a run, or its agent or environment is unknown here.
    """
    run, config = RunFolder.open(path)
    try:
        env_id, options = config["env"]["id"], config["env"]["options"]
        env_config = EnvConfig.from_json(config["env"])
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
    if (path / WEIGHTS).exists():  # an exported policy
        _, weights = read_policy(path)
        set_weights(agent, weights)
    else:
        run.checkpoints.load(lambda state: set_weights(agent, agent_weights(state)))
    return run, config, agent.to(device)
