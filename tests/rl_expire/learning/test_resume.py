"""A resumed run continues bit for bit as if it had never been stopped."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import envs  # noqa: F401 (registers the environments)
from agents import (
    AdaptiveSpanConfig,
    AgentConfig,
    CompressiveConfig,
    ExpireSpanConfig,
    GRUConfig,
    LSTMConfig,
    MemorylessConfig,
    TransformerXLConfig,
    make_agent,
)
from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, ladder
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.random_state import seed_all
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.trainer import TrainConfig, Trainer
from rl_expire.runs.checkpoint import load_tree, save_tree
from rl_expire.runs.json_file import nonfinite_to_none
from tests.rl_expire.learning.trainers import actor_of
from tests.support import CPU, same_tree

SMALL: dict[str, Any] = {"width": 8, "heads": 2}
SHORT: dict[str, Any] = {"max_span": 12.0, "initial_fraction": 0.5, "ramp": 3.0, **SMALL}
AGENTS: dict[str, AgentConfig] = {
    "expire-span": ExpireSpanConfig(**SHORT),
    "expire-span, 2 layers, little room": ExpireSpanConfig(
        **SHORT, layers=2, capacity=5, reconstruct=1.0
    ),
    "transformer-xl": TransformerXLConfig(**SMALL, window=5),
    "adaptive-span": AdaptiveSpanConfig(**SHORT),
    "compressive": CompressiveConfig(**SMALL, window=2, rate=2, compressed=2),
    "lstm": LSTMConfig(width=8, layers=2),
    "gru": GRUConfig(width=8, layers=2),
    "memoryless": MemorylessConfig(**SMALL),
}
TASKS: dict[str, tuple[str, int, int]] = {
    "RLExpire/Corridor-v0": ("max_length", 4, 8),
    "RLExpire/Portal-v0": ("rooms", 2, 3),
    "RLExpire/Instruction-v0": ("max_distance", 36, 44),
}
"""For each environment the option that the curriculum changes, and its first and last value."""
UPDATES, BEYOND = 24, 2
TOTAL_STEPS = 500
"""An update takes 24 steps, so the last tenth begins after some 18 updates."""
STOPS = 20
"""Number of updates after which the first agent is stopped; the others, `FEWER_STOPS`."""
FEWER_STOPS = 6


def make_trainer(config: AgentConfig, task: str = "RLExpire/Corridor-v0") -> Trainer[Any]:
    """Return a run that learns, forgets and, with `soon_settled`, settles within 24 updates."""
    option, first, goal = TASKS[task]
    full_task: dict[str, Any] = {option: goal}
    vector = gymnasium.make_vec(task, 4, "vector_entry_point", **full_task)
    seed_all(3)
    agent = make_agent(vector.single_observation_space, vector.single_action_space, config)
    levels = [Level(n, {option: n}) for n in ladder(first, goal, 1.3)]
    method = "distillation" if agent.span_parameters() else "never"
    schedule = Schedule(
        Curriculum(levels, CurriculumConfig(window=2, advance_at=1e-9, retreat_at=0.0)),
        LearningConfig(solved_at=1e-9, settle_steps=64),
        total_steps=TOTAL_STEPS,
        method=method,
    )
    return Trainer(
        agent,
        LocalActor(vector, agent, CPU, seed=3, options=schedule.curriculum.options),
        schedule,
        {"max_length": "length", "max_distance": "distance"}.get(option, option),
        "success",
        train=TrainConfig(num_envs=4, rollout_length=6),
        ppo=PPOConfig(minibatches=2, epochs=2, learning_rate=0.01),
        forgetting=ForgettingConfig(method=method, learning_rate=0.5),
    )


@pytest.fixture
def soon_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory settle within a few updates."""
    for name, value in {
        **{"QUIET_STEPS": 24, "SETTLED_STEPS": 48, "SHORTER": 1.0, "SLIGHTLY_SHORTER": 1.0},
        **{"FEWEST_CHOICES": 1, "MISSED": math.inf, "NOTICED": math.inf},
    }.items():
        monkeypatch.setattr(f"rl_expire.learning.memory_price.{name}", value)


@pytest.mark.usefixtures("soon_settled")
@pytest.mark.parametrize("name", AGENTS)
def test_a_run_resumed_after_any_update_continues_bit_for_bit(name: str, tmp_path: Path) -> None:
    count = STOPS if name == "expire-span" else FEWER_STOPS
    stops = sorted(random.Random(name).sample(range(UPDATES), count))
    trainer = make_trainer(AGENTS[name])
    states, reports, stages = [trainer.state_dict()], [], []
    for update in range(UPDATES + BEYOND):
        if update in stops:
            save_tree(trainer.state_dict(), tmp_path / f"{update}.safetensors")
        stages.append((trainer.schedule.phase, trainer.schedule.forgetting))
        reports.append(nonfinite_to_none(trainer.update()))
        states.append(trainer.state_dict())
    if trainer.agent.span_parameters():
        resumed = {stages[n] for n in range(UPDATES) if n in stops} if count == STOPS else stages
        assert {("learn", False), ("learn", True), ("settle", True)} <= set(resumed)
    again = make_trainer(AGENTS[name])
    for stop in stops:
        again.load_state_dict(load_tree(tmp_path / f"{stop}.safetensors"))
        same_tree(again.state_dict(), states[stop])
        for update in range(stop, stop + BEYOND):
            assert nonfinite_to_none(again.update()) == reports[update]
        # The complete state is the same, and so is everything that follows from it.
        same_tree(again.state_dict(), states[stop + BEYOND])


@pytest.mark.parametrize("task", TASKS)
def test_a_run_can_be_resumed_in_every_environment(task: str, tmp_path: Path) -> None:
    trainer = make_trainer(AGENTS["expire-span"], task)
    for _ in range(5):
        trainer.update()
    save_tree(trainer.state_dict(), tmp_path / "now")
    later = [nonfinite_to_none(trainer.update()) for _ in range(3)]
    again = make_trainer(AGENTS["expire-span"], task)
    again.load_state_dict(load_tree(tmp_path / "now"))
    assert [nonfinite_to_none(again.update()) for _ in range(3)] == later
    same_tree(again.state_dict(), trainer.state_dict())


def test_the_same_seed_gives_the_same_run_twice() -> None:
    first = make_trainer(AGENTS["expire-span"])
    once = [nonfinite_to_none(first.update()) for _ in range(6)]
    second = make_trainer(AGENTS["expire-span"])
    assert [nonfinite_to_none(second.update()) for _ in range(6)] == once
    same_tree(first.state_dict(), second.state_dict())


def test_random_generators_of_python_numpy_and_torch_are_restored() -> None:
    trainer = make_trainer(AGENTS["memoryless"])
    state = trainer.state_dict()

    def draw() -> tuple[float, float, float, float]:
        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))

    first = draw()
    assert draw() != first
    trainer.load_state_dict(state)
    assert draw() == first


def test_a_state_is_a_copy_that_training_does_not_modify() -> None:
    trainer = make_trainer(AGENTS["expire-span"])
    for _ in range(3):
        trainer.update()
    state = trainer.state_dict()
    trainer.update()
    again = make_trainer(AGENTS["expire-span"])
    again.load_state_dict(state)
    again.update()
    same_tree(again.state_dict(), trainer.state_dict())
    again.load_state_dict(state)
    again.update()
    same_tree(again.state_dict(), trainer.state_dict())


def test_environments_without_a_state_start_the_same_new_episodes_each_time() -> None:
    def cartpole() -> Trainer[Any]:
        trainer = make_trainer(AGENTS["lstm"])
        vector = gymnasium.make_vec("CartPole-v1", 4, "sync")
        vector.change = lambda **_: None  # type: ignore[attr-defined]
        agent = make_agent(
            vector.single_observation_space, vector.single_action_space, AGENTS["lstm"]
        )
        return Trainer(
            agent,
            LocalActor(vector, agent, CPU, seed=1),
            trainer.schedule,
            "length",
            "success",
            train=replace(trainer.train, rollout_length=40),
            ppo=trainer.learner.ppo,
            forgetting=trainer.learner.forgetting,
        )

    trainer = cartpole()
    trainer.measure = trainer.difficulty = "length"
    trainer.schedule.curriculum.observe = lambda _: None  # type: ignore[method-assign]
    trainer.actor.take_episodes = list  # type: ignore[method-assign]
    for _ in range(2):
        trainer.update()
    state = trainer.state_dict()
    assert not trainer.resumes_exactly
    assert len(state["actor"]["envs"]["generators"]) == 4
    observations = []
    for _ in range(2):
        again = cartpole()
        again.load_state_dict(state)
        assert bool(actor_of(again).step.is_first.all())
        same_tree(again.agent.state_dict(), state["agent"])
        observations.append(actor_of(again).step.obs)
        again.actor.take_episodes = list  # type: ignore[method-assign]
        again.update()
    assert torch.equal(*observations)
    assert not torch.equal(observations[0], actor_of(cartpole()).step.obs)  # type: ignore[arg-type]
