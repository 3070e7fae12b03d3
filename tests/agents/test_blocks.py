"""Blocks of all agents: embedding, heads, feed-forward."""

from dataclasses import replace

import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from agents.blocks.config import LayersConfig
from agents.blocks.embedding import StepEmbedding
from agents.blocks.heads import Heads
from rl_expire.actions import ActionDistribution
from rl_expire.memory.feed_forward import FeedForward
from rl_expire.types import TimeStep
from tests.support import VECTOR, random_steps

THREE = ActionDistribution(spaces.Discrete(3))


def test_greedy_takes_the_most_likely_action_and_sampling_follows_the_policy() -> None:
    heads = Heads(8, THREE)
    with torch.no_grad():
        heads.policy.weight.zero_()
        heads.policy.bias.copy_(torch.tensor([0.0, 2.0, 1.0]))
        state = torch.randn(20_000, 8)
        greedy, sampled = (heads.act(state, None, greedy=g) for g in (True, False))
    assert (greedy.action == 1).all()
    share = torch.bincount(sampled.action, minlength=3) / len(state)
    # Four standard deviations of a share of 20,000 draws are below 0.015.
    torch.testing.assert_close(share, greedy.logits[0].softmax(-1), atol=0.015, rtol=0)
    assert torch.equal(greedy.value, sampled.value)


def embedded(embedding: StepEmbedding, step: TimeStep) -> Tensor:
    """Return the states `[B, D]` of a step without previous observation."""
    return embedding.act(step, embedding.initial_seen(len(step.is_first)))[0]


def test_last_action_and_reward_matter_except_on_first_steps() -> None:
    embedding = StepEmbedding(VECTOR, THREE, LayersConfig(width=8))
    embedding.reward_scale.update(torch.ones(1))
    obs, is_first = torch.randn(2, 4), torch.tensor([True, False])
    one = TimeStep(obs, is_first, torch.tensor([0, 0]), torch.tensor([0.0, 0.0]))
    other_action = TimeStep(obs, is_first, torch.tensor([2, 2]), torch.tensor([0.0, 0.0]))
    other_reward = TimeStep(obs, is_first, torch.tensor([0, 0]), torch.tensor([1.0, 1.0]))
    for changed in (other_action, other_reward):
        difference = (embedded(embedding, one) - embedded(embedding, changed)).abs().sum(-1)
        assert difference[0] == 0
        assert difference[1] > 0.01


def test_reconstruction_loss_is_zero_where_states_carry_no_gradient() -> None:
    embedding = StepEmbedding(VECTOR, THREE, LayersConfig(width=8, reconstruct=2.0))
    steps = random_steps(4, 3)

    def loss() -> float:
        states, _ = embedding(steps, embedding.initial_seen(3))
        return embedding.reconstruction_loss(states, steps.obs).item()

    assert loss() > 0
    with torch.no_grad():
        assert loss() == 0
    embedding.requires_grad_(False)
    assert loss() == 0


def test_of_many_states_a_random_sample_is_reconstructed() -> None:
    embedding = StepEmbedding(VECTOR, THREE, LayersConfig(width=8, reconstruct=2.0))
    few, many = random_steps(4, 8), random_steps(8, 125)

    def losses(steps: TimeStep, times: int) -> torch.Tensor:
        states, _ = embedding(steps, embedding.initial_seen(steps.is_first.shape[1]))
        found = [embedding.reconstruction_loss(states, steps.obs) for _ in range(times)]
        return torch.stack(found).detach()

    assert len(losses(few, 5).unique()) == 1, "few states are all reconstructed"
    states, _ = embedding(many, embedding.initial_seen(125))
    assert embedding.reader is not None
    with torch.no_grad():
        exact = 2 * embedding.encoder.reconstruction_loss(embedding.reader(states), many.obs)
    sampled = losses(many, 200)
    assert len(sampled.unique()) > 100
    error = float(sampled.mean() - exact)
    assert abs(error) < 4 * float(sampled.std()) / 200**0.5


def test_without_last_action_only_the_start_of_an_episode_is_visible() -> None:
    embedding = StepEmbedding(VECTOR, THREE, LayersConfig(width=8, last_action=False))
    obs, is_first = torch.randn(2, 4), torch.tensor([True, False])
    seen = [
        embedded(embedding, TimeStep(obs, is_first, torch.full((2,), action), torch.ones(2)))
        for action in range(3)
    ]
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    first = embedded(embedding, TimeStep(obs, ~is_first, torch.zeros(2).long(), torch.zeros(2)))
    later = embedded(embedding, TimeStep(obs, is_first, torch.zeros(2).long(), torch.zeros(2)))
    assert ((first - later).abs().sum(-1) > 0.01).all()


@pytest.mark.parametrize("last_obs", [True, False])
def test_last_obs_feeds_the_previous_observation_within_the_episode(last_obs: bool) -> None:
    embedding = StepEmbedding(VECTOR, THREE, LayersConfig(width=8, last_obs=last_obs))
    steps = random_steps(4, 2, first=[(2, 0)])
    assert isinstance(steps.obs, Tensor)
    other = replace(steps, obs=steps.obs.index_add(0, torch.tensor([1]), torch.ones(1, 2, 4)))
    seen = embedding.initial_seen(2)
    difference = (embedding(steps, seen)[0] - embedding(other, seen)[0]).abs().sum(-1) > 0
    expected = torch.zeros(4, 2, dtype=torch.bool)
    expected[1] = True
    expected[2, 1] = last_obs
    assert torch.equal(difference, expected)


def test_feed_forward_is_gated() -> None:
    layer = FeedForward(6, 4)
    x = torch.randn(5, 6)
    up = layer.up(layer.norm(x))
    value, gate = up[:, :4], up[:, 4:]
    torch.testing.assert_close(layer(x), layer.down(value * gate * torch.sigmoid(gate)))
