"""A run that was stopped and went on is, bit for bit, the run that never stopped."""

from __future__ import annotations

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
    LSTMConfig,
    MemorylessConfig,
    TransformerXLConfig,
    make_agent,
)
from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, ladder
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.random_state import seed_all
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.trainer import TrainConfig, Trainer
from rl_expire.runs.checkpoint import load_tree, save_tree
from rl_expire.runs.json_file import nonfinite_to_none
from tests.support import CPU, same_tree

SMALL: dict[str, Any] = {"width": 8, "heads": 2}
SHORT: dict[str, Any] = {"max_span": 12.0, "ramp": 3.0, **SMALL}
AGENTS: dict[str, AgentConfig] = {
    "expire-span": ExpireSpanConfig(**SHORT),
    "expire-span, 2 layers, little room": ExpireSpanConfig(
        **SHORT, layers=2, capacity=5, reconstruct=1.0
    ),
    "transformer-xl": TransformerXLConfig(**SMALL, window=5),
    "adaptive-span": AdaptiveSpanConfig(**SHORT),
    "compressive": CompressiveConfig(**SMALL, window=2, rate=2, compressed=2),
    "lstm": LSTMConfig(width=8, layers=2),
    "memoryless": MemorylessConfig(**SMALL),
}
TASKS: dict[str, tuple[str, int, int]] = {
    "RLExpire/Corridor-v0": ("max_length", 4, 8),
    "RLExpire/Portal-v0": ("rooms", 2, 3),
    "RLExpire/Instruction-v0": ("max_distance", 36, 44),
}
"""The option that the curriculum changes, from what to what."""
UPDATES, STOPS, BEYOND = 24, 20, 2


def make_trainer(config: AgentConfig, task: str = "RLExpire/Corridor-v0") -> Trainer[Any]:
    """A run that, whatever it scores, learns, settles and forgets within 24 updates."""
    option, first, goal = TASKS[task]
    full_task: dict[str, Any] = {option: goal}
    vector = gymnasium.make_vec(task, 4, "vector_entry_point", **full_task)
    seed_all(3)
    agent = make_agent(vector.single_observation_space, vector.single_action_space, config)
    levels = [Level(n, {option: n}) for n in ladder(first, goal, 1.3)]
    method = "after-learning" if agent.span_parameters() else "never"
    schedule = Schedule(
        Curriculum(levels, CurriculumConfig(window=2, advance_at=1e-9, retreat_at=0.0)),
        LearningConfig(solved_at=1e-9, settle_steps=64),
        total_steps=100_000,
        forget_steps=100_000 if agent.span_parameters() else None,
        tolerance=0.1,
    )
    return Trainer(
        agent,
        vector,
        schedule,
        {"max_length": "length", "max_distance": "distance"}.get(option, option),
        "success",
        train=TrainConfig(num_envs=4, rollout_length=6),
        ppo=PPOConfig(minibatches=2, epochs=2, learning_rate=0.01),
        forgetting=ForgettingConfig(method=method, learning_rate=0.5, minibatches=2),
        device=CPU,
        seed=3,
    )


@pytest.mark.parametrize("name", AGENTS)
def test_a_run_stopped_at_any_of_twenty_updates_goes_on_as_if_it_never_had(
    name: str, tmp_path: Path
) -> None:
    stops = sorted(random.Random(name).sample(range(UPDATES), STOPS))
    trainer = make_trainer(AGENTS[name])
    states, reports = [trainer.state_dict()], []
    for update in range(UPDATES + BEYOND):
        if update in stops:
            save_tree(trainer.state_dict(), tmp_path / f"{update}.safetensors")
        reports.append(nonfinite_to_none(trainer.update()))
        states.append(trainer.state_dict())
    if trainer.spans:
        assert {r["phase"] for r in reports} == {"learn", "settle", "forget"}
    again = make_trainer(AGENTS[name])
    for stop in stops:
        again.load_state_dict(load_tree(tmp_path / f"{stop}.safetensors"))
        same_tree(again.state_dict(), states[stop])
        for update in range(stop, stop + BEYOND):
            assert nonfinite_to_none(again.update()) == reports[update]
        # All that decides what comes next is the same, so everything that comes next is.
        same_tree(again.state_dict(), states[stop + BEYOND])


@pytest.mark.parametrize("task", TASKS)
def test_a_run_goes_on_in_every_environment(task: str, tmp_path: Path) -> None:
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


def test_random_numbers_go_on_in_python_numpy_and_torch() -> None:
    trainer = make_trainer(AGENTS["memoryless"])
    state = trainer.state_dict()

    def drawn() -> tuple[float, float, float, float]:
        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))

    first = drawn()
    assert drawn() != first
    trainer.load_state_dict(state)
    assert drawn() == first


def test_a_state_is_a_copy_that_training_leaves_alone() -> None:
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


def test_environments_that_cannot_be_saved_begin_new_episodes_of_the_same_generators() -> None:
    """CartPole: what `exact` says is false, and going on twice is the same twice."""

    def cartpole() -> Trainer[Any]:
        trainer = make_trainer(AGENTS["lstm"])
        vector = gymnasium.make_vec("CartPole-v1", 4, "sync")
        vector.change = lambda **_: None  # type: ignore[attr-defined]
        agent = make_agent(
            vector.single_observation_space, vector.single_action_space, AGENTS["lstm"]
        )
        return Trainer(
            agent,
            vector,
            trainer.schedule,
            "length",
            "success",
            train=replace(trainer.train, rollout_length=40),
            ppo=trainer.ppo,
            forgetting=trainer.forgetting,
            device=CPU,
            seed=1,
        )

    trainer = cartpole()
    trainer.measure = trainer.difficulty = "length"
    trainer.schedule.curriculum.observe = lambda _: None  # type: ignore[method-assign]
    trainer.actor.take_episodes = list  # type: ignore[method-assign]
    for _ in range(2):
        trainer.update()
    state = trainer.state_dict()
    assert not trainer.exact
    assert len(state["actor"]["envs"]["generators"]) == 4
    seen = []
    for _ in range(2):
        again = cartpole()
        again.load_state_dict(state)
        assert bool(again.actor.step.is_first.all())
        same_tree(again.agent.state_dict(), state["agent"])
        seen.append(again.actor.step.obs)
        again.actor.take_episodes = list  # type: ignore[method-assign]
        again.update()
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], cartpole().actor.step.obs)  # type: ignore[arg-type]
