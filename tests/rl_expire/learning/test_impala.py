"""IMPALA: its loss against explicit sums, and that it learns."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from rl_expire.actions import ActionDistribution
from rl_expire.learning.impala import impala_loss, impala_update
from rl_expire.learning.ppo import MIN_ADVANTAGE, PPOConfig
from rl_expire.types import AgentOutput, Rollout
from tests.counting import CountingMemory
from tests.support import copy_of, expire_agent, made_up_rollout

T, B = 5, 4
ACTIONS = ActionDistribution(Discrete(3))
CONFIG = PPOConfig(gamma=0.9, gae_lambda=0.8, value_cost=0.7, epochs=5, minibatches=2)


def make_rollout() -> Rollout[Any]:
    """Return a random rollout with some steps invalid, and some without a choice."""
    rollout = made_up_rollout(T, B, CountingMemory(torch.zeros(B, dtype=torch.int64)), seed=1)
    return replace(rollout, valid=torch.rand(T, B) > 0.2, choice=torch.rand(T, B) > 0.4)


def make_output(rollout: Rollout[Any]) -> AgentOutput:
    """Return an output that differs from the one in the rollout, with values of scale 2."""
    logits = (rollout.logits + 0.5 * torch.randn(T, B, 3)).requires_grad_()
    value = (rollout.value + 0.5 * torch.randn(T, B)).requires_grad_()
    nothing = torch.zeros(())
    scale = torch.tensor(2.0)
    return AgentOutput(logits, value, nothing, torch.zeros(0, T, B), value_scale=scale)


def log_probs(logits: Tensor, rollout: Rollout[Any]) -> list[list[float]]:
    log_p = torch.log_softmax(logits, -1).gather(-1, rollout.action.unsqueeze(-1)).squeeze(-1)
    return log_p.tolist()


def naive_targets(output: AgentOutput, rollout: Rollout[Any]) -> tuple[Tensor, Tensor]:
    """Return V-trace's advantages and value targets, by recursion (equation 1 of the paper)."""
    values = output.value.detach()
    target, acted = log_probs(output.logits, rollout), log_probs(rollout.logits, rollout)
    advantages, targets = torch.zeros(T, B), torch.zeros(T, B)
    for b in range(B):
        following = correction = 0.0
        for t in reversed(range(T)):
            value = float(values[t, b])
            last = t == T - 1
            end = bool(rollout.terminated[t, b]) or bool(rollout.truncated[t, b])
            next_value = float(rollout.bootstrap_value[b] if last else values[t + 1, b])
            next_target = float(rollout.bootstrap_value[b]) if last else following
            if rollout.truncated[t, b]:
                next_value = next_target = float(rollout.final_value[t, b])
            if rollout.terminated[t, b]:
                next_value = next_target = 0.0
            weight = min(1.0, math.exp(target[t][b] - acted[t][b]))
            valid, reward = bool(rollout.valid[t, b]), float(rollout.reward[t, b])
            delta = weight * (reward + 0.9 * next_value - value) * valid
            carried = 0.0 if end or not valid else correction
            correction = delta + 0.9 * 0.8 * weight * carried
            advantages[t, b] = weight * (reward + 0.9 * next_target - value) * valid
            following = targets[t, b] = value + correction
    return advantages, targets


def test_the_loss_is_that_of_the_paper() -> None:
    rollout = make_rollout()
    output = make_output(rollout)
    advantages, targets = naive_targets(output, rollout)
    steps = [(t, b) for t in range(T) for b in range(B) if rollout.valid[t, b]]
    rms = math.sqrt(sum(float(advantages[s] / 2) ** 2 for s in steps) / len(steps))
    log_p = log_probs(output.logits, rollout)
    policy = value = entropy = 0.0
    for t, b in steps:
        value += 0.5 * float((output.value[t, b].detach() - targets[t, b]) / 2) ** 2
        if rollout.choice[t, b]:
            scaled = float(advantages[t, b]) / 2 / max(rms, MIN_ADVANTAGE)
            policy -= scaled * log_p[t][b]
            p = torch.softmax(output.logits[t, b].detach(), -1)
            entropy -= float((p * p.log()).sum())
    expected = (policy + 0.7 * value - 0.3 * entropy) / len(steps)
    loss, scalars = impala_loss(output, rollout, ACTIONS, CONFIG, entropy_cost=0.3)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert scalars["policy_loss"].item() == pytest.approx(policy / len(steps), rel=1e-4)
    assert scalars["approx_kl"] >= 0


def test_targets_carry_no_gradient() -> None:
    rollout = make_rollout()
    output = make_output(rollout)
    config = replace(CONFIG, value_cost=0.0)
    loss, _ = impala_loss(output, rollout, ACTIONS, config, entropy_cost=0.0)
    loss.backward()
    assert output.value.grad is None or not bool(output.value.grad.any())
    assert bool(output.logits.grad.any())  # pyright: ignore[reportOptionalMemberAccess]


def test_a_rollout_is_passed_over_once() -> None:
    agent = expire_agent()
    rollout = made_up_rollout(T, B, agent.initial_memory(B), seed=2)
    before, calls = copy_of(agent), []
    unroll = agent.unroll
    agent.unroll = lambda *args, **kwargs: (calls.append(1), unroll(*args, **kwargs))[1]
    optimizer = torch.optim.Adam(agent.parameters(), 1e-3)
    report = impala_update(agent, optimizer, rollout, CONFIG, entropy_cost=0.01)
    assert len(calls) == CONFIG.minibatches
    assert {"policy_loss", "value_loss", "entropy", "approx_kl", "grad_norm"} <= report.keys()
    assert any(not torch.equal(x, before[name]) for name, x in agent.state_dict().items())
