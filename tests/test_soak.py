"""Memory use over many steps and episodes."""

from __future__ import annotations

import gc
from pathlib import Path

import gymnasium
import pytest
import torch

import envs  # noqa: F401 (registers the corridor)
from agents import ExpireSpanConfig, make_agent
from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level
from rl_expire.learning.episode import Episode
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.trainer import TrainConfig, Trainer
from rl_expire.runs.checkpoint import save_tree

STEPS, ROWS, LENGTH = 400_000, 128, 32
STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes."""
    gc.collect()
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not STATUS.exists(), reason="needs /proc")
def test_memory_use_does_not_grow(tmp_path: Path) -> None:
    vector = gymnasium.make_vec(
        "RLExpire/Corridor-v0", ROWS, "vector_entry_point", min_length=3, max_length=12
    )
    config = ExpireSpanConfig(width=16, heads=2, max_span=40.0, initial_fraction=0.5, ramp=4.0)
    agent = make_agent(vector.single_observation_space, vector.single_action_space, config)
    actor = LocalActor(vector, agent, torch.device("cpu"), seed=0, options={"max_length": 12})
    trainer = Trainer(
        agent,
        actor,
        Schedule(
            Curriculum([Level(12, {"max_length": 12})], CurriculumConfig()),
            LearningConfig(),
            total_steps=STEPS,
            method="never",
        ),
        "length",
        "success",
        train=TrainConfig(total_steps=STEPS, num_envs=ROWS, rollout_length=LENGTH),
        ppo=PPOConfig(epochs=1),
        forgetting=ForgettingConfig(method="never"),
    )
    sizes, held, episodes = [], [], 0
    take = actor.take_episodes

    def take_and_count() -> list[Episode]:
        nonlocal episodes
        finished = take()
        episodes += len(finished)
        return finished

    actor.take_episodes = take_and_count  # type: ignore[method-assign]
    while not trainer.finished:
        trainer.update()
        if trainer.updates % 8 == 0:
            save_tree(trainer.state_dict(), tmp_path / "now")
            sizes.append(resident_bytes())
            held.append(actor.memory.nbytes)
    print(f"{trainer.steps:,} steps, {episodes:,} episodes")
    quarter = len(sizes) // 4
    before, after = sizes[quarter], max(sizes[-3:])
    print(f"{before / 2**20:.1f} MB after a quarter, {after / 2**20:.1f} MB at the end")
    print(f"{held[quarter]:,} bytes of memory held after a quarter, {held[-1]:,} at the end")
    assert trainer.steps >= STEPS
    assert episodes > 20_000
    assert after < before + 16 * 2**20
    assert max(held[quarter:]) < 1.5 * held[quarter]
