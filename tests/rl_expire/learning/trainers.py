"""Trainers on a tiny corridor in each phase."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import pytest
import torch

import envs  # noqa: F401 (registers the corridor)
from agents import ExpireSpanConfig, ExpireTransformer
from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, ladder
from rl_expire.learning.episode import Episode
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.memory_price import SETTLED_STEPS, MemoryUse
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.trainer import TrainConfig, Trainer
from tests.support import CPU

ROWS, LENGTH, GOAL, WINDOW, SETTLE = 4, 4, 12, 5, 1
SIZES = TrainConfig(num_envs=ROWS, rollout_length=LENGTH, total_steps=160, checkpoint_every=4)
NO_GRADIENT = {"embedding.reward.weight"}
"""Has no gradient while no reward is seen, as in these few steps."""
AGENT = ExpireSpanConfig(width=8, heads=2, max_span=20.0, initial_fraction=0.5, ramp=4.0)


def make_trainer(
    start: int = 3,
    method: Any = "distillation",
    train: TrainConfig = SIZES,
    agent: Any = None,
    **ppo: Any,
) -> Trainer[Any]:
    vector = gymnasium.make_vec(
        "RLExpire/Corridor-v0", train.num_envs, "vector_entry_point", max_length=GOAL
    )
    torch.manual_seed(0)
    spaces = vector.single_observation_space, vector.single_action_space
    agent = agent or ExpireTransformer(*spaces, AGENT)
    forgetting = ForgettingConfig(method=method, learning_rate=0.5)
    levels = [Level(n, {"max_length": n}) for n in ladder(start, GOAL, 2.0)]
    schedule = Schedule(
        Curriculum(levels, CurriculumConfig(window=WINDOW)),
        LearningConfig(settle_steps=SETTLE),
        total_steps=train.total_steps,
        method=method,
    )
    config = replace(PPOConfig(minibatches=2, epochs=1, learning_rate=0.01), **ppo)
    actor = LocalActor(vector, agent, CPU, seed=0, options=schedule.curriculum.options)
    return Trainer(
        agent,
        actor,
        schedule,
        "length",
        "success",
        train=train,
        ppo=config,
        forgetting=forgetting,
    )


def actor_of(trainer: Trainer[Any]) -> LocalActor[Any]:
    """Return the actor in the trainer's own process."""
    assert isinstance(trainer.actor, LocalActor)
    return trainer.actor


def finish_window(trainer: Trainer[Any], success: float) -> None:
    """Let the trainer see a full window of the hardest episodes, and nothing else."""
    hardest = {"length": float(trainer.schedule.curriculum.level), "success": success}
    trainer.actor.episodes = [Episode(0, success, 5, hardest)] * WINDOW
    trainer._follow_schedule(trainer.steps, MemoryUse(3.0, 0.0, 100.0))


def begin_forgetting(trainer: Trainer[Any]) -> None:
    """Solve the full task, from which on lifetimes learn."""
    assert not trainer.schedule.forgetting
    finish_window(trainer, 1.0)
    assert (trainer.schedule.phase, trainer.schedule.forgetting) == ("learn", True)


def begin_settling(trainer: Trainer[Any]) -> None:
    """Forget, with a memory that has settled, and settle for 64 steps."""
    begin_forgetting(trainer)
    trainer.schedule.price.least_length = trainer.schedule.price.settled_length = 0.0
    trainer.schedule.price.good_steps = float(SETTLED_STEPS)
    trainer.schedule.config = replace(trainer.schedule.config, settle_steps=64)
    trainer.schedule.total_steps = 640
    finish_window(trainer, 1.0)
    assert trainer.schedule.phase == "settle"


START = {"learn": 3, "forgetting": GOAL}
"""First level of the curriculum of `trainer_in`."""
stages = pytest.mark.parametrize("stage", START)


def trainer_in(stage: str) -> Trainer[Any]:
    """Return a trainer after an update; while learning the task alone, at the second level."""
    trainer = make_trainer(start=START[stage])
    trainer.update()
    begin_forgetting(trainer) if stage == "forgetting" else finish_window(trainer, 1.0)
    return trainer


def changed(trainer: Trainer[Any], before: dict[str, torch.Tensor]) -> set[str]:
    """Return the names of the weights that have changed."""
    after = trainer.agent.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def names(trainer: Trainer[Any], *, spans: bool) -> set[str]:
    """Return the names of the span parameters, or of all others."""
    parameters = [name for name, _ in trainer.agent.named_parameters()]
    return {name for name in parameters if ("lifetime" in name) == spans}


def spans_of(trainer: Trainer[Any]) -> torch.optim.Optimizer:
    """Return the optimizer of the spans."""
    return trainer.learner.span_optimizer


def effort_of(monkeypatch: pytest.MonkeyPatch, effort: float) -> None:
    """Let every rollout have as many choices as lead to this effort."""
    monkeypatch.setattr("rl_expire.learning.learner._effort", lambda rollout: effort)
