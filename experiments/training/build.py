"""Build the environments, the agent and the trainer from the options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from agents import make_agent
from experiments.training.experiment import Experiment
from rl_expire.learning import ranks
from rl_expire.learning.curriculum import Curriculum
from rl_expire.learning.schedule import Schedule
from rl_expire.learning.trainer import Trainer
from rl_expire.vector.faults import EnvFaultError
from rl_expire.vector.make import make_envs


def make_trainer(options: Experiment, device: torch.device) -> Trainer[Any]:
    """Return a new trainer with new environments and a new agent.

    Raises:
        ValueError: an option is impossible.
    """
    env_config = options.env_config()
    env_id, env_options = options.id_of_env(), options.env_options()
    envs = make_envs(env_id, options.train.num_envs, env_options, env_config)
    spaces = envs.single_observation_space, envs.single_action_space
    agent = make_agent(*spaces, options.agent).to(device)
    forgetting = options.forgetting
    if not agent.span_parameters():
        forgetting = replace(forgetting, method="never")
    schedule = Schedule(
        Curriculum(options.levels(), options.curriculum),
        options.learning,
        total_steps=options.train.total_steps,
        method=forgetting.method,
        reward_threshold=options.reward_threshold(),
    )
    try:
        return Trainer(
            agent,
            envs,
            schedule,
            options.difficulty,
            options.measure,
            train=options.train,
            ppo=options.ppo,
            forgetting=forgetting,
            device=device,
            seed=ranks.own_seed(options.seed, options.train.num_envs),
            solved_return=env_config.solved_return,
        )
    except EnvFaultError as error:
        raise ValueError(f"{env_id} cannot begin: {error}") from error
