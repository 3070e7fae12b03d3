"""What ranks share, and that two of them learn like one with twice as many environments."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from agents import ExpireTransformer, LSTMConfig, make_agent
from rl_expire.learning import ranks
from rl_expire.learning.forgetting import Forgetting, ForgettingConfig
from rl_expire.learning.learner import _effort
from rl_expire.learning.nonfinite import NonFiniteLossError, SkipCounter
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.reward_delay import RewardDelay
from rl_expire.types import Rollout
from tests.rl_expire.learning.trainers import GOAL, begin_forgetting, make_trainer
from tests.support import (
    ACTIONS,
    VECTOR,
    copy_of,
    expire_agent,
    made_up_rollout,
    same_tree,
)
from tests.two_ranks import on_two_ranks

T, B = 6, 4


def test_one_rank_gets_back_what_it_gives() -> None:
    value, tensor, loss = object(), torch.ones(3), torch.ones(())
    assert ranks.gather(value) == [value]
    assert ranks.gather_on_first(value) == [value]
    assert ranks.concat(tensor) is tensor
    assert ranks.total(0.1) == ranks.mean(0.1) == 0.1
    same_tree(ranks.means({"a": 0.1, "b": math.nan}), {"a": 0.1, "b": math.nan})
    assert ranks.on_first(lambda: value) is value
    assert ranks.together(lambda: value, ValueError) is value
    assert (ranks.size(), ranks.rank(), ranks.own_seed(7, 100)) == (1, 0, 7)
    weight = nn.Parameter(torch.zeros(2))
    assert ranks.average_gradients([weight], loss).item() == 1
    assert weight.grad is None


def share(rank: int) -> dict[str, Any]:
    """Call every function of `ranks`."""
    weights = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    weights[0].grad = torch.tensor([1.0, 2.0]) * (1 + rank)
    weights[1].grad = torch.ones(2) if rank == 1 else None
    module = nn.BatchNorm1d(1)
    module.running_mean.fill_(rank)  # pyright: ignore[reportOptionalMemberAccess]
    shared: dict[str, Any] = {
        "chain": ranks.chain([rank] * (rank + 1)),
        "on first": ranks.gather_on_first(rank),
        "sum": ranks.total(rank + 0.5),
        "means": ranks.means({"a": float(rank), "b": [math.nan, 3.0][rank], "c": math.nan}),
        "rows": ranks.concat(torch.full((rank + 1,), rank)),
        "columns": ranks.concat(torch.full((2, 1), rank), 1),
        "seed": ranks.own_seed(2**32 - 1, 10),
        "from first": ranks.on_first(lambda: rank),
        "loss": ranks.average_gradients(weights, torch.tensor(float(rank))),
        "gradients": [None if w.grad is None else w.grad.tolist() for w in weights],
    }
    ranks.average_buffers(module)
    shared["buffer"] = module.running_mean
    for name, call in {
        "of first": lambda: ranks.on_first(lambda: int("x")),
        "of second": lambda: ranks.together(lambda: int("yx"[rank:] if rank else "1"), ValueError),
    }.items():
        with pytest.raises((ValueError, ranks.RankError)) as caught:
            call()
        shared[name] = caught.type, str(caught.value)
    return shared


def test_what_two_ranks_share() -> None:
    first, second = on_two_ranks(share)
    assert first["on first"] == [0, 1]
    assert second["on first"] == []
    assert (first["seed"], second["seed"]) == (2**32 - 1, 9)
    assert first["of first"][0] is ValueError
    assert second["of first"][0] is ranks.RankError
    assert "rank 0 stopped: invalid literal" in second["of first"][1]
    for name in ("on first", "seed", "of first"):
        del first[name], second[name]
    same_tree(first, second)
    assert first["chain"] == [0, 1, 1]
    assert first["sum"] == 2
    same_tree(first["means"], {"a": 0.5, "b": 3.0, "c": math.nan})
    assert first["rows"].tolist() == [0, 1, 1]
    assert first["columns"].tolist() == [[0, 1], [0, 1]]
    assert first["from first"] == 0
    assert first["loss"] == 0.5
    assert first["gradients"] == [[1.5, 3.0], [0.5, 0.5], None]
    assert first["buffer"].item() == 0.5
    assert first["of second"][0] is ValueError


def full_rollout(agent: ExpireTransformer) -> Rollout[Any]:
    """Return a rollout of 2 B environments; those of the second half have fewer choices."""
    rollout = made_up_rollout(T, 2 * B, agent.initial_memory(2 * B))
    choice = torch.rand(T, 2 * B) > torch.tensor([0.2] * B + [0.8] * B)
    return replace(rollout, choice=choice)


def learn(agent: ExpireTransformer, rollout: Rollout[Any]) -> dict[str, Any]:
    """Take one step along the gradient, policy and spans alike; return all that follows from it."""
    spans = {id(p) for p in agent.span_parameters()}
    policy = [p for p in agent.parameters() if id(p) not in spans]
    optimizer = torch.optim.SGD(policy, 1.0)
    forgetting = Forgetting(
        agent,
        torch.optim.SGD(agent.span_parameters(), 1.0),
        ForgettingConfig(max_grad_norm=1e9),
        alpha=0.1,
    )
    delay = RewardDelay(2 * B)
    delay.update(rollout)
    report = ppo_update(
        agent,
        optimizer,
        rollout,
        PPOConfig(epochs=1, minibatches=1, max_grad_norm=1e9),
        entropy_cost=0.01,
        forgetting=forgetting,
    )
    known = {name: report[name] for name in ("missed", "choices", "grad_norm", "span_grad_norm")}
    weights = {name: value.clone() for name, value in agent.state_dict().items()}
    return {"weights": weights, "report": known, "effort": _effort(rollout), "delay": delay.mean}


def learn_half(rank: int) -> dict[str, Any]:
    """Do the same with the half of the environments that belongs to a rank."""
    torch.manual_seed(0)
    agent = expire_agent()
    return learn(agent, full_rollout(agent).select(torch.arange(B) + B * rank))


def test_two_ranks_learn_like_one_with_twice_as_many_environments() -> None:
    torch.manual_seed(0)
    agent = expire_agent()
    rollout = full_rollout(agent)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    expected = learn(agent, rollout)
    first, second = on_two_ranks(learn_half)
    same_tree(first, second)
    assert 0 < first["effort"] == expected["effort"]
    assert 0 < first["delay"] == expected["delay"]
    assert first["report"] == pytest.approx(expected["report"], rel=1e-4)
    for name, value in expected["weights"].items():
        torch.testing.assert_close(first["weights"][name], value, rtol=1e-5, atol=1e-5, msg=name)
    still = {name for name in before if torch.equal(before[name], first["weights"][name])}
    assert {name for name, _ in agent.named_parameters()}.isdisjoint(still)


def learn_from_nan(rank: int) -> tuple[int, dict[str, Any], str, Any]:
    """Learn from a rollout with a NaN on the second rank, first in one environment, then in all."""
    agent = expire_agent()
    rollout = made_up_rollout(T, B, agent.initial_memory(B), seed=rank)
    if rank == 1:
        rollout.logits[0, 0] = math.nan
    optimizer = torch.optim.Adam(agent.parameters(), 1e-3)
    skips, config = SkipCounter(limit=1), PPOConfig(epochs=1, minibatches=2)
    ppo_update(agent, optimizer, rollout, config, entropy_cost=0.0, skips=skips)
    after = copy_of(agent)
    if rank == 1:
        rollout.reward[:] = math.nan
    with pytest.raises(NonFiniteLossError) as caught:
        ppo_update(agent, optimizer, rollout, config, entropy_cost=0.0)
    same_tree(agent.state_dict(), after)
    return skips.total, after, str(caught.value), caught.value.description["reward"]


def test_a_loss_that_is_not_finite_on_one_rank_is_skipped_on_both() -> None:
    first, second = on_two_ranks(learn_from_nan)
    same_tree(first, second)
    skipped, after, message, reward = first
    assert skipped == 1, "one of two minibatches"
    assert all(bool(value.isfinite().all()) for value in after.values())
    assert not torch.equal(
        after["heads.policy.weight"], copy_of(expire_agent())["heads.policy.weight"]
    )
    assert "loss nan" in message
    assert reward["nonfinite"] == reward["entries"], "the batch of the rank that had them"


def train_and_forget(rank: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
    """Learn, then learn to forget; return what is common, what is not, and the last report."""
    trainer = make_trainer(start=GOAL)
    torch.manual_seed(rank)
    trainer.actor.restart(seed=rank)
    trainer.update()
    begin_forgetting(trainer)
    before = {n: p.clone() for n, p in trainer.agent.named_parameters() if "lifetime" in n}
    report = {}
    for _ in range(4):
        report = trainer.update()
    assert trainer.steps == 2 * 6 * 16, "of both ranks, with the rollout that calibrates spans"
    for name, p in trainer.agent.named_parameters():
        assert name not in before or not torch.equal(p, before[name])
    state = trainer.state_dict()
    return state, {name: state.pop(name) for name in ("actor", "random")}, report


def test_after_every_phase_weights_and_schedule_are_the_same_on_both_ranks() -> None:
    (first, own, report), (second, other, again) = on_two_ranks(train_and_forget)
    same_tree(first, second)
    same_tree(report, again)
    assert first["schedule"]["forgetting"]
    assert not torch.equal(own["actor"]["memory"]["clock"], other["actor"]["memory"]["clock"]) or (
        not torch.equal(own["random"]["torch"], other["random"]["torch"])
    )


def scale_of(rank: int, parts: list[Any]) -> Any:
    """Return the weights of an agent that has measured one part of the observations."""
    torch.manual_seed(0)
    agent = make_agent(VECTOR, ACTIONS, LSTMConfig(width=8))
    for own in parts[rank]:
        agent.update_obs_stats(own, torch.ones(own.shape[:2], dtype=torch.bool))
    return agent.state_dict()


def test_the_scale_of_observed_numbers_is_that_of_all_ranks() -> None:
    parts = [[torch.randn(5, n, 4) + rank for n in (3, 2)] for rank in (0, 2)]
    first, second = on_two_ranks(scale_of, parts)
    same_tree(second, first)
    every = torch.cat([p.flatten(0, 1) for own in parts for p in own]).double()
    mean, variance = (first[f"embedding.encoder.scale.{name}"] for name in ("mean", "variance"))
    torch.testing.assert_close(mean, every.mean(0))
    torch.testing.assert_close(variance, every.var(0, correction=0))
