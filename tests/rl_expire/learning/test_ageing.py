"""Memories that age at another pace in some environments."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from agents import AdaptiveSpanConfig, ExpireTransformer, make_agent
from agents.transformer.memory import TransformerMemory
from rl_expire.learning.actor import Actor
from rl_expire.learning.ageing import ageing_pace, empty_memory
from rl_expire.learning.forgetting import Forgetting, ForgettingAgent, ForgettingConfig
from rl_expire.learning.rollout import collect
from rl_expire.types import Rollout
from tests.counting import counting_envs
from tests.support import (
    ACTIONS,
    CPU,
    VECTOR,
    act_over,
    expire_agent,
    made_up_rollout,
    random_steps,
    set_spans,
    stirred,
)

T = 12
PACE = torch.tensor([1.0, 0.5, 2.0, 8.0])
B = len(PACE)
BOUNDARIES = [(5, 0), (5, 1), (9, 2), (11, 3)]


def spanned(span: float, ramp: float) -> ExpireTransformer:
    """Return an agent with one and the same span for all states."""
    agent = expire_agent(max_span=2 * span, ramp=ramp)
    set_spans(agent, 0.0)
    return agent


def pace_of(memory: TransformerMemory) -> list[float]:
    """Return the pace of the first layer's memories."""
    pace = memory.layers[0].pace
    assert pace is not None
    return pace.tolist()


def test_three_of_four_environments_age_step_by_step() -> None:
    pace = ageing_pace(32).tolist()
    assert pace == [1.0] * 24 + [0.5] * 4 + [2.0, 4.0, 8.0, 16.0]
    assert ageing_pace(7).tolist() == [1.0] * 7
    assert sorted(set(ageing_pace(128).tolist())) == [0.5, 1.0, *(2.0**n for n in range(1, 7))]


@pytest.mark.parametrize(
    "agent",
    [
        expire_agent(layers=2),
        expire_agent(fade="linear"),
        stirred(make_agent(VECTOR, ACTIONS, AdaptiveSpanConfig(width=16, max_span=8.0))),
    ],
    ids=["expire-span", "linear", "adaptive-span"],
)
def test_unrolling_equals_acting(agent: ForgettingAgent[Any]) -> None:
    memory = empty_memory(agent, PACE)
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES if segment % 2 else [(3, 3)])
        with torch.no_grad():
            output = agent.unroll(steps, memory.snapshot())
        logits, value, memory = act_over(agent, steps, memory)
        torch.testing.assert_close(output.logits, logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.value, value, atol=1e-5, rtol=1e-5)
        memory = agent.refresh(memory) if segment else memory


def test_at_twice_the_pace_lifetimes_and_ramps_are_half_as_long() -> None:
    agent, half = spanned(6.0, 4.0), spanned(3.0, 2.0)
    half.load_state_dict(agent.state_dict())
    steps = random_steps(20, B)
    fast, _, memory = act_over(agent, steps, empty_memory(agent, torch.full((B,), 2.0)))
    expected, _, short = act_over(half, steps, half.initial_memory(B))
    torch.testing.assert_close(fast, expected)
    assert [int(v.held.sum()) for v in agent.view(memory)] == [
        int(v.held.sum()) for v in half.view(short)
    ]
    plain, _, _ = act_over(agent, steps, agent.initial_memory(B))
    assert not torch.allclose(plain, expected), "or nothing was tested"


def test_only_environments_at_the_ordinary_pace_tell_the_score() -> None:
    agent = expire_agent(counting_envs(1, AutoresetMode.SAME_STEP).single_observation_space)
    actor = Actor(counting_envs(B, AutoresetMode.SAME_STEP), agent, CPU, seed=0, pace=PACE)
    rollout = collect(actor, 40)
    assert {episode.row for episode in actor.episodes} == {0}
    assert (rollout.terminated | rollout.truncated).any(0).all(), "others ended as well"
    assert rollout.pace.tolist() == PACE.tolist()
    picked = rollout.select(torch.tensor([3, 1]))
    assert picked.pace.tolist() == [8.0, 0.5]
    assert pace_of(picked.memory) == [8.0, 0.5]


def test_the_pace_survives_a_checkpoint_and_a_restart() -> None:
    agent = expire_agent(counting_envs(1, AutoresetMode.SAME_STEP).single_observation_space)
    actor, other = (
        Actor(counting_envs(B, AutoresetMode.SAME_STEP), agent, CPU, seed=n, pace=PACE)
        for n in range(2)
    )
    collect(actor, 5)
    other.load_state_dict(actor.state_dict())
    assert "pace" not in actor.state_dict()["memory"]["layers"][0]
    assert pace_of(other.memory) == PACE.tolist()
    other.restart()
    assert pace_of(other.memory) == PACE.tolist()


def test_held_memories_are_counted_at_the_ordinary_pace() -> None:
    agent, steps = spanned(4.0, 1.0), random_steps(T, B, first=[])
    for pace in (PACE, torch.ones(B)):
        memory = empty_memory(agent, pace)
        held = agent.unroll(steps, memory).diagnostics["kept/0"]
        assert float(held) == pytest.approx((1 + 2 + 3 + 4 + 8 * 5) / 12)
    alone = agent.unroll(steps, empty_memory(agent, torch.full((B,), 2.0)))
    assert bool(alone.diagnostics["kept/0"].isnan())


def span_gradient(agent: ExpireTransformer, rollout: Rollout[Any]) -> Tensor:
    """Return the gradient of the loss of lifetimes, without a price, by the bias of the spans."""
    bias = agent.span_parameters()[1]
    forgetting = Forgetting(agent, torch.optim.SGD([bias]), ForgettingConfig(), alpha=0.0)
    loss = forgetting.loss(rollout, agent.unroll(rollout.acted_on, rollout.memory))
    return torch.autograd.grad(loss, bias)[0]


def test_where_memories_age_slowly_a_longer_lifetime_is_missed() -> None:
    """With a span of 0 and a short ramp nothing old is held, so that nothing else tells of it."""
    agent = spanned(0.5, 0.5)
    rollout = made_up_rollout(T, B, agent.initial_memory(B), first=True, ends=0.0)
    slow = torch.full((B,), 0.25)
    held = replace(rollout, memory=empty_memory(agent, slow), pace=slow)
    ordinary, longer = span_gradient(agent, rollout), span_gradient(agent, held)
    assert float(ordinary) == 0.0
    assert float(longer) < -1e-4, "a step down the gradient lengthens spans"


def test_where_memories_age_fast_nothing_is_learned_about_lifetimes() -> None:
    agent = spanned(4.0, 4.0)
    rollout = made_up_rollout(T, B, agent.initial_memory(B), first=True, ends=0.0)
    fast = torch.full((B,), 2.0)
    gone = replace(rollout, memory=empty_memory(agent, fast), pace=fast)
    assert float(span_gradient(agent, gone)) == 0.0
    assert float(span_gradient(agent, rollout)) != 0.0
