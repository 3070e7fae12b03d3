"""Build the environments, the agent and the trainer from the options."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from agents import make_agent
from experiments.training.experiment import Experiment
from rl_expire.learning import ranks
from rl_expire.learning.actor_processes import ActorProcesses
from rl_expire.learning.actor_worker import Parts
from rl_expire.learning.ageing import ageing_pace
from rl_expire.learning.curriculum import Curriculum
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.schedule import Schedule
from rl_expire.learning.trainer import Trainer
from rl_expire.validate import OptionError
from rl_expire.vector.faults import EnvFaultError, close_envs
from rl_expire.vector.make import find_spec, make_envs


def make_trainer(options: Experiment, device: torch.device) -> Trainer[Any]:
    """Return a new trainer with new environments and a new agent.

    Raises:
        ValueError: an option is impossible.
    """
    env_config = options.env_config()
    env_id, env_options = options.id_of_env(), options.env_options()
    actors, rows = options.train.actors, options.train.num_envs
    if actors and ranks.size() > 1:
        raise OptionError(
            options.train,
            "actors",
            "is not for use with torchrun, whose processes act themselves: leave it at 0",
        )
    if actors and env_config.vectorization == "async":
        raise OptionError(
            env_config,
            "vectorization",
            "is async, but actors are processes already: choose sync, or leave --train.actors at 0",
        )
    making = partial(make_envs, env_id, options=env_options, env_config=env_config)
    envs = making(num_envs=1 if actors else rows)  # actors make environments of their own
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
    begin, solved_return = schedule.curriculum.options, env_config.solved_return
    seed = ranks.own_seed(options.seed, rows)
    forgets_late = schedule.curriculum.one_level and forgetting.method == "distillation"
    pace = ageing_pace(rows) if forgets_late else None
    try:
        if actors:
            parts = Parts(
                partial(making, num_envs=rows),
                partial(make_agent, *spaces, options.agent),
                solved_return,
                find_spec(env_id),
                pace,
            )
            close_envs(envs)
            actor = ActorProcesses(agent, parts, actors, device, seed, begin, envs.metadata)
        else:
            actor = LocalActor(envs, agent, device, seed, solved_return, begin, pace)
        return Trainer(
            agent,
            actor,
            schedule,
            options.difficulty,
            options.measure,
            train=options.train,
            ppo=options.ppo,
            forgetting=forgetting,
        )
    except EnvFaultError as error:
        raise ValueError(f"{env_id} cannot begin: {error}") from error
