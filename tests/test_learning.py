"""Agents learn: to recall within seconds, and in the slow test what to forget."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

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
from envs.corridor import CorridorOptions
from experiments.corridor import Corridor
from experiments.training.build import make_trainer
from rl_expire.learning.actor import Actor
from rl_expire.learning.impala import impala_update
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.rollout import collect
from rl_expire.scoring.evaluation import evaluate
from rl_expire.vector.make import make_envs
from tests.support import CPU

MAX_UPDATES = 60
"""Three times as many as the slowest agent with enough memory needs."""


class Recall(gym.Env):
    """Shows a cue, 0 or 1, then twice a blank; the action after that must name the cue.

    Until then only action 0 is allowed: agents see their last action, and could store the cue in
    it.
    """

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.cue, self.count = int(self.np_random.integers(2)), 0
        return self.cue, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.count += 1
        last = self.count == 3
        success = last and int(action) == self.cue
        over = last or int(action) != 0
        return 2, float(success), over, False, {"success": success}


def recall_success(config: AgentConfig, update: Any = ppo_update) -> float:
    """Train on `Recall` until it is learned, or for `MAX_UPDATES`; return the greedy success."""
    torch.manual_seed(1)
    vector = SyncVectorEnv([Recall] * 32, autoreset_mode=AutoresetMode.SAME_STEP)
    agent = make_agent(vector.single_observation_space, vector.single_action_space, config)
    actor = Actor(vector, agent, CPU, seed=1)
    ppo = PPOConfig(learning_rate=3e-3, minibatches=2)
    parameters = list(agent.parameters())
    optimizer = torch.optim.Adam(parameters, lr=ppo.learning_rate)
    for _ in range(MAX_UPDATES):
        rollout = collect(actor, 12)
        if np.mean([e.info["success"] for e in actor.take_episodes()]) > 0.97:
            break
        update(agent, optimizer, rollout, ppo, entropy_cost=0.03)
        actor.memory = agent.refresh(actor.memory)
    return evaluate(agent, vector, 200, seed=2, greedy=True, device=CPU).success


@pytest.mark.parametrize(
    "config",
    [
        ExpireSpanConfig(width=32, max_span=10.0, initial_fraction=0.5, ramp=4.0),
        ExpireSpanConfig(width=32, max_span=10.0, initial_fraction=0.5, ramp=4.0, fade="linear"),
        TransformerXLConfig(width=32, window=2),
        AdaptiveSpanConfig(width=32, max_span=10.0, initial_fraction=0.5, ramp=4.0),
        CompressiveConfig(width=32, window=0, rate=2, compressed=1),
        LSTMConfig(width=32),
    ],
    ids=lambda config: config.name,
)
def test_a_cue_shown_two_steps_ago_is_recalled(config: AgentConfig) -> None:
    assert recall_success(config) > 0.98


def test_impala_learns_to_recall() -> None:
    config = ExpireSpanConfig(width=32, max_span=10.0, initial_fraction=0.5, ramp=4.0)
    assert recall_success(config, impala_update) > 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [MemorylessConfig(width=32), TransformerXLConfig(width=32, window=1)],
    ids=["memoryless", "window too short"],
)
def test_a_cue_that_is_out_of_memory_is_guessed(config: AgentConfig) -> None:
    assert 0.3 < recall_success(config) < 0.7


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_spans_on_a_short_corridor_become_selective(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_expire.learning.memory_price.SETTLED_STEPS", 30_000)
    options = Corridor(seed=1, env=CorridorOptions(max_length=20))
    options = replace(
        options,
        agent=replace(options.agent, max_span=60.0, initial_fraction=0.5, ramp=4.0),
        learning=replace(options.learning, settle_steps=50_000),
        train=replace(options.train, total_steps=1_500_000),
    )
    torch.manual_seed(options.seed)
    trainer = make_trainer(options, CPU)
    while not trainer.finished:
        trainer.update()
    assert trainer.schedule.phase == "end", "the task was not learned"
    hardest = options.env_options() | {"min_length": 20}
    for task in (options.env_options(), hardest):
        vector = make_envs(options.env_id, 100, task)
        score = evaluate(trainer.agent, vector, 500, seed=5, greedy=True, device=CPU)
        assert score.success > 0.95
        assert score.span_relevant > 2 * score.span_other
    # A corridor of length 20 takes 22 steps; every span was 30 steps at first.
    assert score.kept_at_end_per_layer[0] < 15
