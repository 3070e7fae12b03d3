"""Open a run folder or an exported policy: its configuration and its trained agent."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from agents.pretrained import agent_with_weights, read_agent_config
from experiments.trust import check_trusted
from rl_expire.runs.checkpoint import CheckpointError
from rl_expire.runs.policy import WEIGHTS, agent_weights, read_policy
from rl_expire.runs.run_folder import RunFolder, RunFolderError
from rl_expire.types import Agent
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import EnvConfig, make_envs


def load_run(
    path: Path, device: torch.device, trust: Collection[str] = ()
) -> tuple[RunFolder, dict[str, Any], Agent[Any]]:
    """Return a run: its folder, its configuration and its trained agent.

    Args:
        path: run folder, or folder of an exported policy.
        device: where to put the agent.
        trust: modules that the environment and its wrappers may come from (see `check_trusted`).

    Raises:
        RunFolderError: `path` is not a run, or its environment or agent cannot be made here.
        CheckpointError: it has no usable weights.
    """
    run, config = read_run(path, trust)
    env = config["env"]
    try:
        agent = read_agent_config(config["agent"])
    except ValueError as error:
        raise RunFolderError(
            f"{run.config} does not have the options of this version's agent ({error}): "
            "choose another run"
        ) from error
    try:
        with closing_envs(
            make_envs(env["id"], 1, env["options"], EnvConfig.from_json(env))
        ) as envs:
            spaces = envs.single_observation_space, envs.single_action_space
        if (path / WEIGHTS).exists():  # an exported policy
            _, weights = read_policy(path)
            loaded = agent_with_weights(*spaces, agent, weights)
        else:
            loaded = run.checkpoints.load(
                lambda state: agent_with_weights(*spaces, agent, agent_weights(state))
            )
    except CheckpointError:
        raise
    except ValueError as error:
        raise RunFolderError(f"{path}: {error}") from error
    return run, config, loaded.to(device)


def own_place(folder: RunFolder, file: Path) -> Path:
    """Return where to write a `file` of `folder`: there, or in the working directory.

    An exported policy is left as it is, since it may be part of a repository. Its files are called
    after it, such as `corridor-retention.mp4`.
    """
    if not (folder.path / WEIGHTS).exists():
        return file
    return Path.cwd() / f"{folder.path.resolve().name}-{file.name}"


def read_run(path: Path, trust: Collection[str] = ()) -> tuple[RunFolder, dict[str, Any]]:
    """Return a run folder and its configuration, of which `env` and `agent` have been checked.

    Args:
        path: run folder, or folder of an exported policy.
        trust: modules that the environment and its wrappers may come from (see `check_trusted`).

    Raises:
        RunFolderError: `path` is not a run, or needs modules that are not trusted.
    """
    run, config = RunFolder.open(path)
    problem = f"{run.config} is not the configuration of a run"
    env, agent = config.get("env"), config.get("agent")
    if not isinstance(env, dict) or not isinstance(agent, dict):
        raise RunFolderError(problem)
    level = env.get("level", [])
    if (
        not isinstance(env.get("id"), str)
        or not isinstance(env.get("options"), dict)
        or not isinstance(level, list)
        or not all(isinstance(name, str) and name in env["options"] for name in level)
    ):
        raise RunFolderError(problem)
    try:
        env_config = EnvConfig.from_json(env)
    except ValueError as error:
        raise RunFolderError(f"{problem} ({error})") from error
    check_trusted(path, env["id"], env_config.wrappers, trust)
    return run, config
