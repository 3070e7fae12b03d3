"""The loss against sums written out, and what an update may and may not touch."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.ppo import (
    PPOConfig,
    average,
    masked_mean,
    minibatches,
    ppo_loss,
    ppo_update,
    span_stats,
    step_optimizer,
)
from rl_expire.types import AgentOutput, Rollout
from tests.support import CPU, CountingMemory, copy_of, expire_agent, made_up_rollout

T, B = 6, 5


def rollout_of(seed: int = 0) -> Rollout[Any]:
    made = made_up_rollout(T, B, CountingMemory(torch.zeros(B, dtype=torch.int64)), seed=seed)
    valid = torch.rand(T, B) > 0.2
    choice = torch.rand(T, B) > 0.4
    assert not valid.all()
    assert not choice.all()
    return replace(made, valid=valid, choice=choice)


def answer(rollout: Rollout[Any], scale: float = 0.5) -> AgentOutput:
    """An evaluation that differs from what was collected."""
    logits = rollout.logits + scale * torch.randn(T, B, 3)
    value = rollout.value + scale * torch.randn(T, B)
    return AgentOutput(logits, value, torch.zeros(()), torch.zeros(0, T, B))


def naive_loss(
    evaluation: AgentOutput,
    rollout: Rollout[Any],
    advantages: Tensor,
    returns: Tensor,
    config: PPOConfig,
    entropy_cost: float,
) -> tuple[float, float]:
    """The loss and the KL estimate, one step after the other."""
    steps = [(t, b) for t in range(T) for b in range(B) if rollout.valid[t, b]]
    taken = [float(advantages[s]) for s in steps]
    if config.normalize_advantages:
        mean = sum(taken) / len(taken)
        deviation = math.sqrt(sum((a - mean) ** 2 for a in taken) / len(taken))
        taken = [(a - mean) / max(deviation, config.advantage_floor) for a in taken]
    policy = value = entropy = kl = 0.0
    for advantage, (t, b) in zip(taken, steps, strict=True):
        action = int(rollout.action[t, b])
        new = [float(x) for x in evaluation.logits[t, b].exp()]
        old = [float(x) for x in rollout.logits[t, b].exp()]
        p = [x / sum(new) for x in new]
        ratio = p[action] / (old[action] / sum(old))
        clipped = min(max(ratio, 1 - config.clip), 1 + config.clip)
        if rollout.choice[t, b]:
            policy -= min(ratio * advantage, clipped * advantage)
            entropy -= sum(x * math.log(x) for x in p)
            kl += ratio - 1 - math.log(ratio)
        v, target, before = (float(x[t, b]) for x in (evaluation.value, returns, rollout.value))
        error = (v - target) ** 2
        if config.value_clip is not None:
            near = before + min(max(v - before, -config.value_clip), config.value_clip)
            error = max(error, (near - target) ** 2)
        value += 0.5 * error
    n, choices = len(steps), sum(bool(rollout.choice[s]) for s in steps)
    return (policy + config.value_cost * value - entropy_cost * entropy) / n, kl / choices


@pytest.mark.parametrize(
    "config",
    [
        PPOConfig(),
        PPOConfig(normalize_advantages=False),
        PPOConfig(advantage_floor=5.0),
        PPOConfig(value_clip=0.1, clip=0.05, value_cost=1.5),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_is_the_sum_written_out(config: PPOConfig, seed: int) -> None:
    rollout = rollout_of(seed)
    evaluation = answer(rollout)
    advantages, returns = torch.randn(T, B), torch.randn(T, B)
    loss, stats = ppo_loss(evaluation, rollout, advantages, returns, config, entropy_cost=0.1)
    expected, kl = naive_loss(evaluation, rollout, advantages, returns, config, 0.1)
    assert float(loss) == pytest.approx(expected, abs=1e-5)
    assert float(stats["approx_kl"]) == pytest.approx(kl, abs=1e-5)


def test_where_actions_make_no_difference_only_the_value_learns() -> None:
    rollout = rollout_of()
    logits = rollout.logits.clone().requires_grad_()
    value = rollout.value.clone().requires_grad_()
    evaluation = AgentOutput(logits, value, torch.zeros(()), torch.zeros(0, T, B))
    advantages, returns = torch.randn(2, T, B)
    loss, _ = ppo_loss(evaluation, rollout, advantages, returns, PPOConfig(), entropy_cost=0.1)
    loss.backward()
    assert logits.grad is not None
    assert value.grad is not None
    counts = rollout.valid & rollout.choice
    assert torch.equal(logits.grad.abs().sum(-1) > 0, counts)
    assert torch.equal(value.grad != 0, rollout.valid)


def test_steps_that_are_not_valid_change_nothing() -> None:
    rollout = rollout_of()
    evaluation = answer(rollout)
    advantages, returns = torch.randn(T, B), torch.randn(T, B)
    loss, _ = ppo_loss(evaluation, rollout, advantages, returns, PPOConfig(), entropy_cost=0.1)
    advantages += 9.0 * torch.randn(T, B) * ~rollout.valid
    returns += 9.0 * torch.randn(T, B) * ~rollout.valid
    logits = evaluation.logits + 9.0 * torch.randn(T, B, 3) * ~rollout.valid.unsqueeze(-1)
    shaken = replace(evaluation, logits=logits)
    other, _ = ppo_loss(shaken, rollout, advantages, returns, PPOConfig(), entropy_cost=0.1)
    torch.testing.assert_close(loss, other)


def test_advantages_of_nothing_but_noise_are_not_blown_up() -> None:
    rollout = rollout_of()
    evaluation = answer(rollout)
    noise = 1e-3 * torch.randn(T, B)
    config = PPOConfig(value_cost=0.0)
    _, stats = ppo_loss(evaluation, rollout, noise, rollout.value, config, entropy_cost=0.0)
    assert abs(float(stats["policy_loss"])) < 0.01


@pytest.mark.parametrize("config", [PPOConfig(), PPOConfig(value_clip=0.2)])
def test_rewards_in_another_unit_are_learned_from_as_before(config: PPOConfig) -> None:
    rollout, unit = rollout_of(), 250.0
    evaluation = answer(rollout)
    advantages, returns = torch.randn(T, B), torch.randn(T, B)
    loss, _ = ppo_loss(evaluation, rollout, advantages, returns, config, entropy_cost=0.1)
    other, _ = ppo_loss(
        replace(evaluation, value=unit * evaluation.value, value_scale=torch.tensor(unit)),
        replace(rollout, value=unit * rollout.value),
        unit * advantages,
        unit * returns,
        config,
        entropy_cost=0.1,
    )
    torch.testing.assert_close(loss, other)


def test_units_of_the_value_follow_the_returns_where_that_is_asked_for() -> None:
    for normalize in (False, True):
        agent = expire_agent()
        rollout = made_up_rollout(T, B, agent.initial_memory(B))
        rollout = replace(rollout, reward=300 * torch.randn(T, B))
        optimizer = torch.optim.Adam(list(agent.parameters()), 1e-3)
        config = PPOConfig(minibatches=1, normalize_values=normalize)
        ppo_update(agent, list(agent.parameters()), optimizer, rollout, config, entropy_cost=0.0)
        assert (float(agent.heads.value.scale) > 100) == normalize
        evaluation = agent.unroll(rollout.acted_on, rollout.memory)
        assert evaluation.value_scale is agent.heads.value.scale


def test_minibatches_are_disjoint_and_cover_every_row() -> None:
    parts = list(minibatches(12, 4, CPU))
    assert [len(p) for p in parts] == [3, 3, 3, 3]
    assert sorted(torch.cat(parts).tolist()) == list(range(12))
    assert not torch.equal(torch.cat(parts), torch.cat(list(minibatches(12, 4, CPU))))


def test_gradients_are_scaled_down_to_the_norm_and_never_up() -> None:
    for size, moved in ((3.0, 0.5), (0.1, 0.1)):
        weight = nn.Parameter(torch.zeros(4))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        norm = step_optimizer(optimizer, (weight * size).sum() / 2, [weight], 0.5)
        assert norm is not None
        assert float(norm) == pytest.approx(size)
        assert float(weight.detach().norm()) == pytest.approx(moved, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_changes_no_weight(bad: float) -> None:
    agent = expire_agent()
    rollout = made_up_rollout(T, B, agent.initial_memory(B))
    rollout.reward[2, 1] = bad
    before = copy_of(agent)
    parameters = list(agent.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    config = PPOConfig(minibatches=1, epochs=1)
    with pytest.raises(NonFiniteLossError) as error:
        ppo_update(agent, parameters, optimizer, rollout, config, entropy_cost=0.0)
    assert all(torch.equal(before[name], x) for name, x in agent.state_dict().items())
    assert error.value.description["reward"]["nonfinite"] == 1


def updates(stop_kl: float | None, rate: float) -> int:
    """How many optimizer steps an update of 5 epochs with 2 minibatches takes."""
    agent = expire_agent()
    rollout = made_up_rollout(T, 4, agent.initial_memory(4))
    rollout = replace(rollout, logits=agent_logits(agent, rollout))
    parameters = list(agent.parameters())
    optimizer = torch.optim.SGD(parameters, lr=rate)
    count = 0

    def counted(*_: Any) -> None:
        nonlocal count
        count += 1

    optimizer.register_step_post_hook(counted)
    config = PPOConfig(minibatches=2, epochs=5, stop_kl=stop_kl)
    ppo_update(agent, parameters, optimizer, rollout, config, entropy_cost=0.0)
    return count


def agent_logits(agent: Any, rollout: Rollout[Any]) -> Tensor:
    with torch.no_grad():
        return agent.unroll(rollout.steps.map(lambda x: x[:T]), rollout.memory).logits


def test_the_passes_end_when_the_policy_has_moved_too_far() -> None:
    assert updates(stop_kl=0.02, rate=1e-6) == 10
    assert updates(stop_kl=None, rate=3.0) == 10
    assert updates(stop_kl=0.02, rate=3.0) < 10


def test_the_cost_of_memory_reaches_the_lifetimes_in_proportion() -> None:
    grown = []
    for cost in (0.0, 1e-3, 2e-3):
        agent = expire_agent(max_span=40.0)
        rollout = made_up_rollout(T, B, agent.initial_memory(B))
        parameters = list(agent.parameters())
        optimizer = torch.optim.SGD(parameters, lr=0.0)
        config = PPOConfig(minibatches=1, epochs=1, max_grad_norm=math.inf)
        ppo_update(agent, parameters, optimizer, rollout, config, entropy_cost=0.0, span_cost=cost)
        found = [p.grad for p in agent.span_parameters()]
        grown.append(torch.cat([g.flatten() for g in found if g is not None]))
    torch.testing.assert_close(grown[2] - grown[0], 2 * (grown[1] - grown[0]), atol=1e-5, rtol=1e-4)
    assert (grown[1] - grown[0]).abs().max() > 1e-4


def test_what_states_tell_of_observations_is_learned_along_where_it_is_asked_for() -> None:
    assert "reconstruction" not in logged(expire_agent())
    agent = expire_agent(reconstruct=2.0)
    assert agent.embedding.reader is not None
    before = [p.detach().clone() for p in agent.embedding.reader.parameters()]
    first = logged(agent)["reconstruction"]
    after = agent.embedding.reader.parameters()
    assert all((a != b).any() for a, b in zip(after, before, strict=True))
    for _ in range(30):
        logged(agent)
    assert logged(agent)["reconstruction"] < 0.8 * first


def logged(agent: Any) -> dict[str, float]:
    """What one update logs; it is always of the same rollout."""
    rollout = made_up_rollout(T, B, agent.initial_memory(B))
    parameters = list(agent.parameters())
    optimizer = torch.optim.Adam(parameters, 1e-2)
    config = PPOConfig(minibatches=1, epochs=1, stop_kl=None)
    return ppo_update(agent, parameters, optimizer, rollout, config, entropy_cost=0.0)


def test_span_statistics_leave_out_what_is_not_there() -> None:
    rollout = rollout_of()
    spans = torch.arange(2.0 * T * B).view(2, T, B)
    mean = spans.mean(0)
    stats = span_stats(spans, rollout)
    assert stats["span_relevant"] == mean[rollout.relevant].mean()
    assert stats["span_other"] == mean[~rollout.relevant].mean()
    none = replace(rollout, relevant=torch.zeros(T, B, dtype=torch.bool))
    assert span_stats(spans, none)["span_relevant"].isnan()
    assert span_stats(torch.zeros(0, T, B), rollout) == {}
    seen = {"x": [torch.tensor(1.0), torch.tensor(math.nan), torch.tensor(3.0)]}
    assert average(seen) == {"x": 2.0}


def test_a_masked_mean_of_nothing_is_zero() -> None:
    assert masked_mean(torch.ones(3), torch.zeros(3, dtype=torch.bool)) == 0
