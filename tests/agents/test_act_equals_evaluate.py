"""With the same weights, `evaluate` over T steps is T calls of `act`, whatever happens on the way.

Every agent in `AGENTS` must pass; those with slots are also shown to have met what is claimed.
"""

from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor

from rl_expire.memory.expire_span import is_held
from rl_expire.types import Agent, TimeStep
from tests.support import AGENTS, SPACES, VECTOR, Make, act_over, expire_agent, random_steps

T, B = 12, 4
BOUNDARIES = [(0, 1), (5, 0), (5, 1), (9, 1), (11, 2)]

make_agent = pytest.mark.parametrize("make", AGENTS.values(), ids=AGENTS.keys())


def assert_same(agent: Agent[Any], steps: TimeStep, memory: Any) -> Any:
    """Compare the two on `steps` from `memory`; return the memory after them."""
    with torch.no_grad():
        evaluation = agent.unroll(steps, memory.snapshot())
    logits, value, after = act_over(agent, steps, memory.snapshot())
    torch.testing.assert_close(evaluation.logits, logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(evaluation.value, value, atol=1e-5, rtol=1e-5)
    assert logits.std() > 0.01, "the agent says the same whatever it sees: nothing was tested"
    return after


@make_agent
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_from_an_empty_memory_for_every_observation_space(make: Make, space: gym.Space) -> None:
    agent = make(space)
    start = [(0, row) for row in range(B)]
    steps = random_steps(T, B, space=space, first=start + BOUNDARIES)
    assert_same(agent, steps, agent.initial_memory(B))


@make_agent
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_with_a_single_environment(make: Make, space: gym.Space) -> None:
    agent = make(space)
    steps = random_steps(T, 1, space=space, first=[(0, 0), (7, 0)])
    assert_same(agent, steps, agent.initial_memory(1))


@make_agent
def test_with_a_single_step(make: Make) -> None:
    agent = make()
    steps = random_steps(1, B, first=[(0, 0)])
    assert_same(agent, steps, agent.initial_memory(B))


@make_agent
@pytest.mark.parametrize("refresh", [True, False], ids=["refreshed", "not refreshed"])
def test_across_chained_segments_with_boundaries_anywhere(make: Make, refresh: bool) -> None:
    agent = make()
    memory = agent.initial_memory(B)
    for segment in range(5):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES if segment % 2 else [(3, 3)])
        memory = assert_same(agent, steps, memory)
        memory = agent.refresh(memory) if refresh else memory


@make_agent
def test_refresh_changes_nothing_while_the_weights_stay(make: Make) -> None:
    agent = make()
    refreshed, plain = agent.initial_memory(B), agent.initial_memory(B)
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES)
        logits, value, refreshed = act_over(agent, steps, agent.refresh(refreshed))
        plain_logits, plain_value, plain = act_over(agent, steps, plain)
        torch.testing.assert_close(logits, plain_logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(value, plain_value, atol=1e-5, rtol=1e-5)


@make_agent
def test_of_a_minibatch_equals_the_whole_batch(make: Make) -> None:
    agent = make()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    steps = random_steps(T, B, seed=1, first=BOUNDARIES)
    rows = torch.tensor([3, 1])
    with torch.no_grad():
        whole = agent.unroll(steps, memory.snapshot())
        part = agent.unroll(steps.map(lambda x: x[:, rows]), memory.select(rows))
    torch.testing.assert_close(part.logits, whole.logits[:, rows], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(part.value, whole.value[:, rows], atol=1e-5, rtol=1e-5)


def tensors_of(thing: Any) -> list[Tensor]:
    if isinstance(thing, Tensor):
        return [thing]
    parts = thing if isinstance(thing, list) else vars(thing).values()
    return [t for part in parts for t in tensors_of(part)]


@make_agent
def test_evaluate_leaves_the_memory_as_it_was(make: Make) -> None:
    agent = make()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    before = tensors_of(memory.snapshot())
    memory = memory.snapshot()
    agent.unroll(random_steps(T, B, seed=1, first=BOUNDARIES), memory)
    assert all(torch.equal(x, y) for x, y in zip(tensors_of(memory), before, strict=True))


@make_agent
def test_act_leaves_snapshots_and_selections_alone(make: Make) -> None:
    agent = make()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    copies = [memory.snapshot(), memory.select(torch.arange(B))]
    before = [[t.clone() for t in tensors_of(copy)] for copy in copies]
    act_over(agent, random_steps(T, B, seed=1, first=BOUNDARIES), memory)
    for copy, kept in zip(copies, before, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(tensors_of(copy), kept, strict=True))


fades = pytest.mark.parametrize("fade", ["linear", "log-linear"])


@fades
def test_while_memories_expire_and_their_slots_are_reused(fade: str) -> None:
    agent = expire_agent(layers=2, fade=fade)
    memory = agent.initial_memory(B)
    for segment in range(6):
        steps = random_steps(T, B, seed=segment, first=[(4, 2)] if segment == 3 else [])
        memory = assert_same(agent, steps, memory)
    for slots in memory.layers:
        spans = slots.span[slots.span.isfinite()]
        assert spans.std() > 0.3, "all spans are alike"
        assert slots.num_slots < 2 * T, "72 steps were seen, so slots must have been reused"


@fades
def test_while_slots_grow(fade: str) -> None:
    agent = expire_agent(layers=2, max_span=200.0, fade=fade)
    memory = agent.initial_memory(B)
    sizes = []
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=[(4, 2)] if segment == 2 else [])
        memory = agent.refresh(assert_same(agent, steps, memory))
        sizes.append(memory.layers[0].num_slots)
    assert sizes[0] > 8, "the first segment did not outgrow the initial slots"
    assert sizes[-1] > sizes[0]


@fades
@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 5])
def test_at_capacity_where_living_memories_are_given_up(capacity: int, fade: str) -> None:
    agent = expire_agent(layers=2, max_span=40.0, capacity=capacity, fade=fade)
    memory = agent.initial_memory(B)
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES if segment == 2 else [])
        memory = assert_same(agent, steps, memory)
        memory = agent.refresh(memory) if segment % 2 else memory
        for slots in memory.layers:
            held = is_held(slots.remaining(memory.clock - 1), agent.config.ramp)
            assert slots.num_slots <= capacity
            assert int(held.sum(1).max()) == capacity, "the capacity was never reached"


@fades
def test_at_capacity_with_some_memories_expiring_first(fade: str) -> None:
    full = []
    for max_span in (2.0, 4.0, 8.0):
        agent = expire_agent(layers=2, max_span=max_span, capacity=5, fade=fade)
        memory = agent.initial_memory(B)
        for segment in range(4):
            steps = random_steps(T, B, seed=segment, first=[(6, 0)] if segment % 3 == 0 else [])
            memory = assert_same(agent, steps, memory)
            held = is_held(memory.layers[0].remaining(memory.clock - 1), agent.config.ramp)
            full += (held.sum(1) == 5).tolist()
    assert any(full)
    assert not all(full)


def test_rows_at_different_ages_and_one_that_starts_a_new_episode_at_once() -> None:
    agent = expire_agent(VECTOR, layers=2, max_span=30.0)
    memory = agent.initial_memory(B)
    memory = assert_same(agent, random_steps(7, B, first=[(3, 1), (6, 2)]), memory)
    assert memory.clock.tolist() == [7, 4, 1, 7]
    memory = assert_same(agent, random_steps(7, B, seed=1, first=[(0, 0), (1, 3)]), memory)
    assert memory.clock.tolist() == [7, 11, 8, 6]
