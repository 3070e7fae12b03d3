"""From command-line options to environments and agents, and from a run folder back to them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from cli import at_least
from gymnasium.vector import AutoresetMode, VectorEnv

import envs  # noqa: F401  (registers the environments)
from agents import AGENT_CONFIGS, AgentConfig, make_agent
from rl_expire.policy import WEIGHTS, read_policy, set_weights, weights_of
from rl_expire.run_folder import RunFolder, RunFolderError


def use_threads(threads: int) -> None:
    """Let Torch use `threads` CPU threads; 0: as many as there are cores.

    Raises:
        ValueError: `threads` is below 0.
    """
    at_least(0, threads=threads)
    if threads:
        torch.set_num_threads(threads)


def make_envs(env_id: str, num_envs: int, options: dict[str, Any]) -> VectorEnv:
    """Make `num_envs` environments that reset themselves.

    The environment's own vector form is used where it has one.

    Raises:
        ValueError: the environment is unknown or refuses its options.
    """
    try:
        if gym.spec(env_id).vector_entry_point is not None:
            return gym.make_vec(env_id, num_envs, "vector_entry_point", **options)
        mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gym.make_vec(env_id, num_envs, "sync", vector_kwargs=mode, **options)
    except (gym.error.Error, TypeError) as error:
        raise ValueError(f"environment {env_id} cannot be made: {error}") from error


def make_env(env_id: str, options: dict[str, Any]) -> gym.Env:
    """Make one environment that can be rendered.

    Raises:
        ValueError: the environment is unknown, refuses its options or cannot render frames.
    """
    try:
        return gym.make(env_id, render_mode="rgb_array", **options)
    except (gym.error.Error, TypeError) as error:
        raise ValueError(f"environment {env_id} cannot be made: {error}") from error


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
        name, agent_options = config["agent"]["name"], config["agent"]["options"]
    except (KeyError, TypeError):
        raise RunFolderError(f"{run.config} is not the configuration of a run") from None
    if name not in AGENT_CONFIGS:
        known = ", ".join(AGENT_CONFIGS)
        raise RunFolderError(f"{path} was trained with agent {name!r}: this version knows {known}")
    try:
        vector = make_envs(env_id, 1, options)
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
