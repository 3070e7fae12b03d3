"""PPO: its loss against explicit sums, and what an update changes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from agents import ExpireTransformer
from agents.blocks.reward_scale import RewardScale
from rl_expire.actions import ActionDistribution
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.ppo import PPOConfig, ppo_loss, ppo_update, scale_advantages
from rl_expire.types import AgentOutput, Rollout
from tests.counting import CountingMemory
from tests.support import copy_of, expire_agent, made_up_rollout

T, B = 6, 5
ACTIONS = ActionDistribution(Discrete(3))


def make_rollout(seed: int = 0) -> Rollout[Any]:
    """Return a random rollout with some steps invalid, and some without a choice."""
    rollout = made_up_rollout(T, B, CountingMemory(torch.zeros(B, dtype=torch.int64)), seed=seed)
    valid = torch.rand(T, B) > 0.2
    choice = torch.rand(T, B) > 0.4
    assert not valid.all()
    assert not choice.all()
    return replace(rollout, valid=valid, choice=choice)


def learn_from(
    agent: ExpireTransformer, rollout: Rollout[Any], config: PPOConfig, entropy_cost: float = 0.0
) -> dict[str, float]:
    """Update all parameters of `agent` with a new optimizer."""
    parameters = list(agent.parameters())
    optimizer = torch.optim.Adam(parameters, 1e-3)
    return ppo_update(agent, optimizer, rollout, config, entropy_cost=entropy_cost)


def make_output(rollout: Rollout[Any], scale: float = 0.5) -> AgentOutput:
    """Return an output that differs from the one in the rollout."""
    logits = rollout.logits + scale * torch.randn(T, B, 3)
    value = rollout.value + scale * torch.randn(T, B)
    return AgentOutput(logits, value, torch.zeros(()), torch.zeros(0, T, B))


def naive_loss(
    output: AgentOutput,
    rollout: Rollout[Any],
    advantages: Tensor,
    returns: Tensor,
    config: PPOConfig,
    entropy_cost: float,
) -> tuple[float, float]:
    """Return the loss and the KL estimate, summed step by step."""
    steps = [(t, b) for t in range(T) for b in range(B) if rollout.valid[t, b]]
    policy = value = entropy = kl = 0.0
    for t, b in steps:
        advantage = float(advantages[t, b])
        action = int(rollout.action[t, b])
        new = [float(x) for x in output.logits[t, b].exp()]
        old = [float(x) for x in rollout.logits[t, b].exp()]
        p = [x / sum(new) for x in new]
        ratio = p[action] / (old[action] / sum(old))
        clipped = min(max(ratio, 1 - config.clip), 1 + config.clip)
        if rollout.choice[t, b]:
            policy -= min(ratio * advantage, clipped * advantage)
            entropy -= sum(x * math.log(x) for x in p)
            kl += ratio - 1 - math.log(ratio)
        v, target, before = (float(x[t, b]) for x in (output.value, returns, rollout.value))
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
        PPOConfig(value_clip=0.1, clip=0.05, value_cost=1.5),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_equals_its_explicit_sum(config: PPOConfig, seed: int) -> None:
    rollout = make_rollout(seed)
    output = make_output(rollout)
    advantages, returns = torch.randn(T, B), torch.randn(T, B)
    loss, stats = ppo_loss(output, rollout, advantages, returns, ACTIONS, config, entropy_cost=0.1)
    expected, kl = naive_loss(output, rollout, advantages, returns, config, 0.1)
    assert float(loss) == pytest.approx(expected, abs=1e-5)
    assert float(stats["approx_kl"]) == pytest.approx(kl, abs=1e-5)


def test_steps_without_a_choice_give_gradients_to_the_value_only() -> None:
    rollout = make_rollout()
    logits = rollout.logits.clone().requires_grad_()
    value = rollout.value.clone().requires_grad_()
    output = AgentOutput(logits, value, torch.zeros(()), torch.zeros(0, T, B))
    advantages, returns = torch.randn(2, T, B)
    loss, _ = ppo_loss(output, rollout, advantages, returns, ACTIONS, PPOConfig(), entropy_cost=0.1)
    loss.backward()
    assert logits.grad is not None
    assert value.grad is not None
    counts = rollout.valid & rollout.choice
    assert torch.equal(logits.grad.abs().sum(-1) > 0, counts)
    assert torch.equal(value.grad != 0, rollout.valid)


def test_invalid_steps_do_not_change_the_loss() -> None:
    rollout = make_rollout()
    output = make_output(rollout)
    advantages, returns = torch.randn(T, B), torch.randn(T, B)
    loss, _ = ppo_loss(output, rollout, advantages, returns, ACTIONS, PPOConfig(), entropy_cost=0.1)
    advantages += 9.0 * torch.randn(T, B) * ~rollout.valid
    returns += 9.0 * torch.randn(T, B) * ~rollout.valid
    logits = output.logits + 9.0 * torch.randn(T, B, 3) * ~rollout.valid.unsqueeze(-1)
    changed = replace(output, logits=logits)
    estimates = advantages, returns
    other, _ = ppo_loss(changed, rollout, *estimates, ACTIONS, PPOConfig(), entropy_cost=0.1)
    torch.testing.assert_close(loss, other)


@pytest.mark.parametrize("config", [PPOConfig(), PPOConfig(value_clip=0.2)])
def test_the_loss_does_not_depend_on_the_unit_of_rewards(config: PPOConfig) -> None:
    rollout, unit = make_rollout(), 250.0
    output = make_output(rollout)
    advantages, returns = torch.randn(T, B), torch.randn(T, B)
    loss, _ = ppo_loss(output, rollout, advantages, returns, ACTIONS, config, entropy_cost=0.1)
    other, _ = ppo_loss(
        replace(output, value=unit * output.value, value_scale=torch.tensor(unit)),
        replace(rollout, value=unit * rollout.value),
        advantages,
        unit * returns,
        ACTIONS,
        config,
        entropy_cost=0.1,
    )
    torch.testing.assert_close(loss, other)


def test_the_value_scale_follows_the_returns() -> None:
    agent = expire_agent()
    rollout = made_up_rollout(T, B, agent.initial_memory(B))
    rollout = replace(rollout, reward=300 * torch.randn(T, B))
    learn_from(agent, rollout, PPOConfig(minibatches=1))
    assert float(agent.heads.value.scale) > 100
    output = agent.unroll(rollout.acted_on, rollout.memory)
    assert output.value_scale is agent.heads.value.scale


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_advantages_are_scaled_to_a_root_mean_square_of_1_and_keep_their_signs(unit: float) -> None:
    advantages, valid = unit * (3 + torch.randn(T, B)), torch.rand(T, B) > 0.3
    scaled = scale_advantages(advantages, valid, torch.tensor(unit))
    assert float(scaled[valid].pow(2).mean()) == pytest.approx(1, rel=1e-4)
    ratio = scaled / advantages
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))
    assert float(ratio[0, 0]) > 0


def test_noise_in_the_advantages_is_not_scaled_up() -> None:
    noise, valid = 1e-3 * torch.randn(T, B), torch.ones(T, B, dtype=torch.bool)
    assert float(scale_advantages(noise, valid, torch.tensor(1.0)).abs().max()) < 0.05


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e6])
def test_learning_does_not_depend_on_the_size_of_the_rewards(factor: float) -> None:
    weights = []
    for unit in (1.0, factor):
        agent = expire_agent()
        agent.embedding.reward_scale = RewardScale()  # before the first reward
        for seed in range(3):
            rollout = made_up_rollout(T, B, agent.initial_memory(B), seed=seed)
            rollout = replace(
                rollout,
                steps=replace(rollout.steps, last_reward=unit * rollout.steps.last_reward),
                reward=unit * rollout.reward * (seed > 0),  # no reward in the first rollout
            )
            with torch.no_grad():  # values and policy as the agent would have given them
                output = agent.unroll(rollout.acted_on, rollout.memory)
            rollout = replace(
                rollout,
                logits=output.logits,
                value=output.value,
                bootstrap_value=output.value[-1],
                final_value=output.value * rollout.truncated,
            )
            torch.manual_seed(seed)
            learn_from(agent, rollout, PPOConfig(), entropy_cost=0.01)
        weights.append(torch.cat([p.detach().flatten() for p in agent.parameters()]))
    torch.testing.assert_close(*weights, atol=1e-4, rtol=1e-3)


def test_without_a_lambda_credit_reaches_as_far_as_the_rollout() -> None:
    metrics = []
    for lam in (None, 1 - 1 / T):
        agent = expire_agent()
        rollout = made_up_rollout(T, B, agent.initial_memory(B))
        torch.manual_seed(0)
        metrics.append(learn_from(agent, rollout, PPOConfig(gae_lambda=lam)))
    assert metrics[0] == metrics[1]


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
        ppo_update(agent, optimizer, rollout, config, entropy_cost=0.0)
    assert all(torch.equal(before[name], x) for name, x in agent.state_dict().items())
    assert error.value.description["reward"]["nonfinite"] == 1


def count_steps(stop_kl: float | None, rate: float) -> int:
    """Return how many optimizer steps an update of 5 epochs with 2 minibatches takes."""
    agent = expire_agent()
    rollout = made_up_rollout(T, 4, agent.initial_memory(4))
    rollout = replace(rollout, logits=agent_logits(agent, rollout))
    parameters = list(agent.parameters())
    optimizer = torch.optim.SGD(parameters, lr=rate)
    count = 0

    def count_step(*_: Any) -> None:
        nonlocal count
        count += 1

    optimizer.register_step_post_hook(count_step)
    config = PPOConfig(minibatches=2, epochs=5, stop_kl=stop_kl)
    ppo_update(agent, optimizer, rollout, config, entropy_cost=0.0)
    return count


def agent_logits(agent: Any, rollout: Rollout[Any]) -> Tensor:
    with torch.no_grad():
        return agent.unroll(rollout.steps.map(lambda x: x[:T]), rollout.memory).logits


def test_the_passes_over_a_rollout_end_at_the_kl_limit() -> None:
    assert count_steps(stop_kl=0.02, rate=1e-6) == 10
    assert count_steps(stop_kl=None, rate=3.0) == 10
    assert count_steps(stop_kl=0.02, rate=3.0) < 10


@pytest.mark.parametrize(
    ("kls", "steps"), [((0.0, 0.0, 0.0, 0.06), 8), ((0.06, 0.06, 0.06, 0.0), 4)]
)
def test_the_kl_limit_looks_at_all_minibatches_of_a_pass(
    kls: tuple[float, ...], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, seen = expire_agent(), []

    def loss_with_kl(*args: Any, **options: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss, scalars = ppo_loss(*args, **options)
        seen.append(kls[len(seen) % len(kls)])
        return loss, scalars | {"approx_kl": torch.tensor(seen[-1])}

    monkeypatch.setattr("rl_expire.learning.ppo.ppo_loss", loss_with_kl)
    rollout = made_up_rollout(T, 4, agent.initial_memory(4))
    learn_from(agent, rollout, PPOConfig(minibatches=4, epochs=2, stop_kl=0.02))
    assert len(seen) == steps


def test_span_gradients_grow_in_proportion_to_the_span_cost() -> None:
    gradients = []
    for cost in (0.0, 1e-3, 2e-3):
        agent = expire_agent(max_span=40.0)
        rollout = made_up_rollout(T, B, agent.initial_memory(B))
        parameters = list(agent.parameters())
        optimizer = torch.optim.SGD(parameters, lr=0.0)
        config = PPOConfig(minibatches=1, epochs=1, max_grad_norm=math.inf)
        ppo_update(agent, optimizer, rollout, config, entropy_cost=0.0, span_cost=cost)
        grads = [p.grad for p in agent.span_parameters()]
        gradients.append(torch.cat([g.flatten() for g in grads if g is not None]))
    once, twice = gradients[1] - gradients[0], gradients[2] - gradients[0]
    torch.testing.assert_close(twice, 2 * once, atol=1e-5, rtol=1e-4)
    assert once.abs().max() > 1e-4


def test_the_reconstruction_loss_is_learned_and_logged_if_the_agent_has_one() -> None:
    assert "reconstruction" not in update(expire_agent())
    agent = expire_agent(reconstruct=2.0)
    assert agent.embedding.reader is not None
    before = [p.detach().clone() for p in agent.embedding.reader.parameters()]
    first = update(agent)["reconstruction"]
    after = agent.embedding.reader.parameters()
    assert all((a != b).any() for a, b in zip(after, before, strict=True))
    for _ in range(30):
        update(agent)
    assert update(agent)["reconstruction"] < 0.8 * first


def update(agent: Any) -> dict[str, float]:
    """Update the agent on a fixed rollout, and return the metrics."""
    rollout = made_up_rollout(T, B, agent.initial_memory(B))
    parameters = list(agent.parameters())
    optimizer = torch.optim.Adam(parameters, 1e-2)
    config = PPOConfig(minibatches=1, epochs=1, stop_kl=None)
    return ppo_update(agent, optimizer, rollout, config, entropy_cost=0.0)
