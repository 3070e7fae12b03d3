"""With the same weights, `unroll` over T steps equals T calls of `act`.

Every agent of `tests.support.AGENTS` and every observation space must satisfy this, across episode
boundaries, expiry, reuse of slots and eviction.
"""

from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor

from agents import ExpireTransformer
from rl_expire.memory.expire_span import is_held
from rl_expire.types import Agent, TimeStep
from tests.support import AGENTS, SPACES, Make, act_over, expire_agent, random_steps

T, B = 12, 4
BOUNDARIES = [(0, 1), (5, 0), (5, 1), (9, 1), (11, 2)]
ALL_START = [(0, row) for row in range(B)]

every_agent = pytest.mark.parametrize("make", AGENTS.values(), ids=AGENTS.keys())
every_fade = pytest.mark.parametrize("fade", ["linear", "log-linear"])


def assert_equal_outputs(agent: Agent[Any], steps: TimeStep, memory: Any) -> Any:
    """Compare `unroll` and `act` on `steps` from `memory`; return the memory after the steps."""
    with torch.no_grad():
        output = agent.unroll(steps, memory.snapshot())
    logits, value, after = act_over(agent, steps, memory.snapshot())
    torch.testing.assert_close(output.logits, logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.value, value, atol=1e-5, rtol=1e-5)
    assert logits.std() > 0.01, "the output is constant, so nothing was tested"
    return after


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_every_observation_space(space: gym.Space) -> None:
    agent = expire_agent(space, layers=2, last_obs=True)
    steps = random_steps(T, B, space=space, first=ALL_START + BOUNDARIES)
    assert_equal_outputs(agent, steps, agent.initial_memory(B))


@every_agent
@pytest.mark.parametrize(("length", "rows"), [(T, 1), (1, B)], ids=["one row", "one step"])
def test_single_environment_and_single_step(make: Make, length: int, rows: int) -> None:
    agent = make()
    steps = random_steps(length, rows, first=[(0, 0), (length // 2, 0)])
    assert_equal_outputs(agent, steps, agent.initial_memory(rows))


@every_agent
def test_chained_segments_with_boundaries_anywhere(make: Make) -> None:
    agent = make()
    memory = agent.initial_memory(B)
    for segment in range(5):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES if segment % 2 else [(3, 3)])
        memory = assert_equal_outputs(agent, steps, memory)
        memory = agent.refresh(memory) if segment >= 2 else memory


@every_agent
def test_refresh_changes_nothing_while_the_weights_stay_the_same(make: Make) -> None:
    agent = make()
    refreshed, plain = agent.initial_memory(B), agent.initial_memory(B)
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES)
        logits, value, refreshed = act_over(agent, steps, agent.refresh(refreshed))
        plain_logits, plain_value, plain = act_over(agent, steps, plain)
        torch.testing.assert_close(logits, plain_logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(value, plain_value, atol=1e-5, rtol=1e-5)


@every_agent
def test_unrolling_a_minibatch_equals_those_rows_of_the_whole_batch(make: Make) -> None:
    agent = make()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    steps = random_steps(T, B, seed=1, first=BOUNDARIES)
    rows = torch.tensor([3, 1])
    with torch.no_grad():
        whole = agent.unroll(steps, memory.snapshot())
        part = agent.unroll(steps.map(lambda x: x[:, rows]), memory.select(rows))
    torch.testing.assert_close(part.logits, whole.logits[:, rows], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(part.value, whole.value[:, rows], atol=1e-5, rtol=1e-5)


def tensors_of(tree: Any) -> list[Tensor]:
    """Return all tensors of a memory."""
    if isinstance(tree, Tensor):
        return [tree]
    branches = tree if isinstance(tree, list | dict) else vars(tree)
    parts = branches.values() if isinstance(branches, dict) else branches
    return [t for part in parts if part is not None for t in tensors_of(part)]


@every_agent
def test_unroll_does_not_change_the_memory(make: Make) -> None:
    agent = make()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    before = tensors_of(memory.snapshot())
    memory = memory.snapshot()
    agent.unroll(random_steps(T, B, seed=1, first=BOUNDARIES), memory)
    assert all(torch.equal(x, y) for x, y in zip(tensors_of(memory), before, strict=True))


@every_agent
def test_act_does_not_change_snapshots_and_selections(make: Make) -> None:
    agent = make()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    copies = [memory.snapshot(), memory.select(torch.arange(B))]
    before = [[t.clone() for t in tensors_of(copy)] for copy in copies]
    act_over(agent, random_steps(T, B, seed=1, first=BOUNDARIES), memory)
    for copy, expected in zip(copies, before, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(tensors_of(copy), expected, strict=True))


@every_fade
def test_while_memories_expire_and_their_slots_are_reused(fade: str) -> None:
    agent = expire_agent(layers=2, fade=fade)
    memory = agent.initial_memory(B)
    for segment in range(6):
        steps = random_steps(T, B, seed=segment, first=[(4, 2)] if segment == 3 else [])
        memory = assert_equal_outputs(agent, steps, memory)
    for slots in memory.layers:
        spans = slots.span[slots.span.isfinite()]
        assert spans.std() > 0.3, "all spans are about the same"
        assert slots.num_slots < 2 * T, "no slot was reused in 72 steps"


@every_fade
def test_while_slots_are_added(fade: str) -> None:
    agent = expire_agent(layers=2, max_span=200.0, fade=fade)
    memory = agent.initial_memory(B)
    sizes = []
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=[(4, 2)] if segment == 2 else [])
        memory = agent.refresh(assert_equal_outputs(agent, steps, memory))
        sizes.append(memory.layers[0].num_slots)
    assert sizes[0] > 8, "the first segment did not need more than the initial slots"
    assert sizes[-1] > sizes[0]


@pytest.mark.parametrize(
    ("capacity", "fade"), [(1, "linear"), (2, "log-linear"), (3, "linear"), (5, "log-linear")]
)
def test_at_capacity_where_unexpired_memories_are_evicted(capacity: int, fade: str) -> None:
    agent = expire_agent(layers=2, max_span=40.0, capacity=capacity, fade=fade)
    memory = agent.initial_memory(B)
    for segment in range(4):
        steps = random_steps(T, B, seed=segment, first=BOUNDARIES if segment == 2 else [])
        memory = assert_equal_outputs(agent, steps, memory)
        memory = agent.refresh(memory) if segment % 2 else memory
        for slots in memory.layers:
            held = is_held(slots.remaining(memory.clock - 1), agent.config.ramp)
            assert slots.num_slots <= capacity
            assert int(held.sum(1).max()) == capacity, "the capacity was never reached"


@every_fade
def test_at_capacity_where_some_memories_expire_first(fade: str) -> None:
    full = []
    for max_span in (2.0, 4.0, 8.0):
        agent = expire_agent(layers=2, max_span=max_span, capacity=5, fade=fade)
        memory = agent.initial_memory(B)
        for segment in range(4):
            steps = random_steps(T, B, seed=segment, first=[(6, 0)] if segment % 3 == 0 else [])
            memory = assert_equal_outputs(agent, steps, memory)
            held = is_held(memory.layers[0].remaining(memory.clock - 1), agent.config.ramp)
            full += (held.sum(1) == 5).tolist()
    assert any(full)
    assert not all(full)


def with_horizon(agent: ExpireTransformer, age: float) -> ExpireTransformer:
    """Return `agent` as if training tested memories up to `age`."""
    for layer in agent.layers:
        layer.lifetime.set_horizon(age)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    return agent


@every_fade
@pytest.mark.parametrize("capacity", [100, 16])
def test_with_lifetimes_and_ages_on_both_sides_of_the_horizon(fade: str, capacity: int) -> None:
    agent = with_horizon(expire_agent(layers=2, fade=fade, capacity=capacity), 3.0)
    memory = agent.initial_memory(B)
    stretched, expired, oldest = [], [], []
    for segment in range(6):
        steps = random_steps(T, B, seed=segment, first=[(4, 2), (9, 0)] if segment == 3 else [])
        memory = assert_equal_outputs(agent, steps, memory)
        for slots in memory.layers:
            left = slots.remaining(memory.clock - 1)
            held = is_held(left, agent.config.ramp)
            age = (memory.clock - 1).unsqueeze(1) - slots.written_at
            stretched.append(int((slots.span > 6.0).sum()))
            expired.append(int((slots.span.isfinite() & (slots.span <= 3.0) & ~held).sum()))
            oldest.append(int(age[held].max()))
        memory = agent.refresh(memory) if segment % 2 else memory
    assert min(stretched[2:]) > 0, "no lifetime is longer than any span can be"
    assert max(expired) > 0, "no memory below the horizon expired"
    assert max(oldest) > 6, "no age was clipped"
    if capacity == 16:
        assert max(slots.num_slots for slots in memory.layers) == capacity


def test_the_horizon_changes_the_outputs() -> None:
    steps = [random_steps(T, B, seed=n) for n in range(2)]
    logits = []
    for age in (0.0, 3.0, 1000.0):
        agent = with_horizon(expire_agent(), age)
        _, _, memory = act_over(agent, steps[0], agent.initial_memory(B))
        logits.append(act_over(agent, steps[1], memory)[0])
    assert (logits[0] - logits[1]).abs().max() > 0.01
    assert torch.equal(logits[0], logits[2]), "far above all lifetimes and ages it has no effect"


def test_rows_at_different_times_of_their_episodes() -> None:
    agent = expire_agent(layers=2, max_span=30.0)
    memory = agent.initial_memory(B)
    memory = assert_equal_outputs(agent, random_steps(7, B, first=[(3, 1), (6, 2)]), memory)
    assert memory.clock.tolist() == [7, 4, 1, 7]
    steps = random_steps(7, B, seed=1, first=[(0, 0), (1, 3)])
    memory = assert_equal_outputs(agent, steps, memory)
    assert memory.clock.tolist() == [7, 11, 8, 6]
