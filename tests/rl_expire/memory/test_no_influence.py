"""Expired memories and earlier episodes have no influence on act, unroll and gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from agents.transformer import TransformerMemory
from rl_expire.memory.expire_span import is_held
from tests.support import (
    VECTOR,
    act_over,
    expire_agent,
    random_steps,
    set_spans,
    slots_of,
)


def storage(memory: TransformerMemory) -> int:
    """Return the bytes that the tensors keep alive, including parts outside of views."""
    tensors = [t for m in memory.layers for t in (m.hidden, m.key, m.value, m.written_at, m.span)]
    return sum(
        {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()
    )


STEPS, ROWS = 60, 3


@pytest.mark.parametrize("fade", ["linear", "log-linear"])
def test_bytes_and_attended_keys_decrease_when_spans_shrink(fade: str) -> None:
    agent = expire_agent(layers=2, max_span=100.0, fade=fade)
    set_spans(agent, 9.0)  # 99.99 steps
    _, _, memory = act_over(agent, random_steps(STEPS, ROWS), agent.initial_memory(ROWS))
    memory = agent.refresh(memory)
    assert [m.num_slots for m in memory.layers] == [STEPS] * 2
    long_bytes = [m.nbytes for m in memory.layers]
    assert storage(memory) == sum(long_bytes)

    set_spans(agent, -9.0)  # 0.01 steps and a ramp of 3: ages 0 to 3 are held
    memory = agent.refresh(memory)
    assert [m.num_slots for m in memory.layers] == [3] * 2
    for slots, before in zip(memory.layers, long_bytes, strict=True):
        assert slots.hidden.shape == (ROWS, 3, 16)
        assert slots.key.shape == slots.value.shape == (ROWS, 2, 3, 8)
        assert slots.written_at.shape == slots.span.shape == (ROWS, 3)
        assert slots.nbytes == before * 3 // STEPS
    assert storage(memory) == sum(m.nbytes for m in memory.layers)

    _, _, memory = act_over(agent, random_steps(STEPS, ROWS, seed=1), memory)
    for weights, view in zip(memory.attention, agent.view(memory), strict=True):
        assert weights.shape[-1] <= 7
        assert view.held.sum(1).tolist() == [4] * ROWS
        assert (view.mask[~view.held] == 0).all()
        assert (weights.masked_select(~view.held.unsqueeze(1)) == 0).all()


def test_refresh_never_restores_expired_memories() -> None:
    agent = expire_agent(max_span=100.0)
    set_spans(agent, -9.0)
    _, _, memory = act_over(agent, random_steps(20, ROWS), agent.initial_memory(ROWS))
    set_spans(agent, 9.0)
    memory = agent.refresh(memory)
    slots = slots_of(memory)
    assert is_held(slots.remaining(memory.clock), agent.config.ramp).sum(1).tolist() == [3] * ROWS
    assert (slots.written_at.sort(1).values == torch.tensor([17, 18, 19])).all()
    assert slots.span.min() > 99


def some_expired(fade: str) -> tuple[Any, TransformerMemory, Tensor]:
    """Return an agent, its memory after some steps, and which slots `[B, S]` are held."""
    agent = expire_agent(max_span=20.0, fade=fade)
    _, _, memory = act_over(agent, random_steps(30, ROWS), agent.initial_memory(ROWS))
    slots = slots_of(memory)
    written = slots.span.isfinite()
    held = is_held(slots.remaining(memory.clock), agent.config.ramp)
    assert (written & ~held).any(1).all(), "nothing has expired"
    assert held.any(1).all()
    return agent, memory, held


def perturbed(memory: TransformerMemory, name: str, where: Tensor) -> TransformerMemory:
    """Return a copy with noise on `hidden`, `key` or `value` of the slots `where [B, S]`."""
    memory = memory.snapshot()
    tensor = getattr(slots_of(memory), name)
    chosen = where.unsqueeze(-1) if name == "hidden" else where[:, None, :, None]
    noise = 30 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0))
    tensor += noise * chosen
    return memory


@pytest.mark.parametrize("fade", ["linear", "log-linear"])
@pytest.mark.parametrize("name", ["key", "value"])
def test_expired_memories_have_no_influence_on_act(name: str, fade: str) -> None:
    agent, memory, held = some_expired(fade)
    step = random_steps(1, ROWS, seed=1)

    def logits(of: TransformerMemory) -> Tensor:
        return act_over(agent, step, of)[0]

    before = logits(memory.snapshot())
    assert torch.equal(logits(perturbed(memory, name, ~held)), before)
    assert (logits(perturbed(memory, name, held)) - before).abs().max() > 1e-3


@pytest.mark.parametrize("fade", ["linear", "log-linear"])
@pytest.mark.parametrize("length", [1, 9])
def test_expired_memories_have_no_influence_on_unroll(fade: str, length: int) -> None:
    agent, memory, held = some_expired(fade)
    steps = random_steps(length, ROWS, seed=1)

    @torch.no_grad()
    def logits(of: TransformerMemory) -> Tensor:
        return agent.unroll(steps, of).logits

    before = logits(memory)
    assert torch.equal(logits(perturbed(memory, "hidden", ~held)), before)
    assert (logits(perturbed(memory, "hidden", held)) - before).abs().max() > 1e-3
    compacted = logits(agent.refresh(memory))
    torch.testing.assert_close(compacted, before, atol=1e-5, rtol=1e-5)


BOUNDARY, LENGTH = 7, 12


def with_another_past(before: int, seed: int) -> Any:
    """Return two versions of steps in which row 1 starts a second episode at step `before`.

    They differ in everything that row 1 sees before that step, including the action and reward
    that lead to it.
    """
    steps = random_steps(LENGTH, 2, seed=seed, first=[(0, 0), (0, 1), (before, 1)])
    other = random_steps(LENGTH, 2, seed=seed + 100, first=[(0, 0), (0, 1), (before, 1)])
    past = torch.zeros(LENGTH, 2, dtype=torch.bool)
    past[:before, 1] = True
    entry = past.clone()
    entry[before, 1] = True
    assert isinstance(steps.obs, Tensor)
    assert isinstance(other.obs, Tensor)
    changed = type(steps)(
        torch.where(past.unsqueeze(-1), other.obs, steps.obs),
        steps.is_first,
        torch.where(entry, other.last_action, steps.last_action),
        torch.where(entry, other.last_reward, steps.last_reward),
    )
    return steps, changed


def agent_with_long_spans() -> Any:
    """Return an agent in which no memory expires during these tests."""
    return expire_agent(VECTOR, layers=2, max_span=200.0)


def assert_only_the_past_differs(logits: Tensor, changed: Tensor, before: int) -> None:
    """Assert that logits differ in row 1 before step `before`, and nowhere else."""
    assert torch.equal(logits[:, 0], changed[:, 0])
    torch.testing.assert_close(logits[before:, 1], changed[before:, 1], atol=1e-6, rtol=1e-6)
    if before:
        difference = (logits[:before, 1] - changed[:before, 1]).abs().amax(-1)
        assert (difference > 1e-3).all()


def test_act_does_not_depend_on_the_previous_episode() -> None:
    agent = agent_with_long_spans()
    steps, changed = with_another_past(BOUNDARY, 0)
    logits, _, _ = act_over(agent, steps, agent.initial_memory(2))
    others, _, _ = act_over(agent, changed, agent.initial_memory(2))
    assert_only_the_past_differs(logits, others, BOUNDARY)


@torch.no_grad()
def test_unroll_does_not_depend_on_the_previous_episode() -> None:
    agent = agent_with_long_spans()
    steps, changed = with_another_past(BOUNDARY, 0)
    logits = agent.unroll(steps, agent.initial_memory(2)).logits
    others = agent.unroll(changed, agent.initial_memory(2)).logits
    assert_only_the_past_differs(logits, others, BOUNDARY)


@torch.no_grad()
@pytest.mark.parametrize("before", [0, 4])
def test_an_episode_from_an_earlier_segment_does_not_leak_into_the_next(before: int) -> None:
    agent = agent_with_long_spans()
    _, _, memory = act_over(agent, random_steps(10, 2), agent.initial_memory(2))
    other = memory.snapshot()
    for slots in other.layers:
        for tensor in (slots.hidden, slots.key, slots.value):
            tensor[1] += torch.randn_like(tensor[1])
    steps = random_steps(LENGTH, 2, seed=3, first=[(before, 1)])
    unrolled = [agent.unroll(steps, m).logits for m in (memory, other)]
    assert_only_the_past_differs(unrolled[0], unrolled[1], before)
    acted = [act_over(agent, steps, m.snapshot())[0] for m in (memory, other)]
    assert_only_the_past_differs(acted[0], acted[1], before)


def test_no_gradient_flows_across_episodes() -> None:
    agent = agent_with_long_spans()
    steps, _ = with_another_past(BOUNDARY, 0)
    steps.obs.requires_grad_()
    steps.last_reward.requires_grad_()
    output = agent.unroll(steps, agent.initial_memory(2))
    late = output.logits[BOUNDARY:].square().sum() + output.value[BOUNDARY:].square().sum()
    late.backward()
    assert (steps.obs.grad[:BOUNDARY, 1] == 0).all()
    assert (steps.last_reward.grad[: BOUNDARY + 1, 1] == 0).all()
    assert (steps.obs.grad[:BOUNDARY, 0] != 0).any(-1).all(), "row 0 has only one episode"
    assert (steps.obs.grad[BOUNDARY:, 1] != 0).any(-1).all()
