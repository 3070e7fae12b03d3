"""Reward scale: its size, its first reward, and what it does to the values."""

import pytest
import torch

from agents import MemorylessConfig, make_agent
from agents.blocks.reward_scale import RewardScale
from tests.support import ACTIONS, VECTOR


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_it_is_the_size_of_a_reward_however_rare_rewards_are(factor: float) -> None:
    scale, rewards = RewardScale(), torch.zeros(1000)
    assert not scale.update(rewards)
    assert torch.equal(scale(torch.ones(3)), torch.zeros(3))
    rewards[7] = -factor
    assert scale.update(rewards)
    assert float(scale.rms) == pytest.approx(factor)
    assert not scale.update(3 * rewards)
    assert factor < float(scale.rms) < 3 * factor
    for _ in range(200):
        scale.update(3 * rewards)
    assert float(scale.rms) == pytest.approx(3 * factor, rel=1e-3)
    assert float(scale(3 * rewards)[7]) == pytest.approx(-1, rel=1e-3)


def test_values_are_multiplied_by_the_very_first_reward_only() -> None:
    agent = make_agent(VECTOR, ACTIONS, MemorylessConfig(width=16, heads=2))
    assert float(agent.update_reward_stats(torch.tensor([0.0, 0.0]))) == 1
    assert float(agent.update_reward_stats(torch.tensor([0.0, 7.0]))) == pytest.approx(7)
    assert float(agent.update_reward_stats(torch.tensor([0.0, 7.0]))) == 1
