"""Layers with memory over segments of a sequence equal one pass over all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from rl_expire.memory import (
    ExpireSpan,
    FixedWindow,
    HeadWindows,
    Lifetime,
    MemoryLayer,
    MemoryStack,
)
from rl_expire.memory import layer as layer_module
from rl_expire.memory.slot_memory import FREE, SlotMemory
from tests.support import CPU, stirred

WIDTH, HEADS, ROWS, STEPS = 8, 2, 3, 24


def expire_span() -> Lifetime:
    """Short lifetimes that differ from state to state."""
    return ExpireSpan(
        WIDTH,
        max_span=12.0,
        initial_fraction=0.5,
        ramp=2.0,
        fade_shape="linear",
        span_cost="mean",
    )


def head_windows() -> Lifetime:
    """Windows of some steps."""
    return HeadWindows(HEADS, max_span=12.0, initial_fraction=0.4, ramp=2.0, fade_shape="linear")


LIFETIMES: dict[str, Callable[[], Lifetime]] = {
    "expire-span": expire_span,
    "window": lambda: FixedWindow(5),
    "windows of heads": head_windows,
}
every_lifetime = pytest.mark.parametrize("make", LIFETIMES.values(), ids=LIFETIMES.keys())


def stack_of(make: Callable[[], Lifetime], capacity: int = 64) -> MemoryStack:
    """Two layers with noise on all weights."""
    return stirred(MemoryStack(MemoryLayer(WIDTH, HEADS, make(), capacity) for _ in range(2)))


@every_lifetime
@pytest.mark.parametrize("length", [1, 5, 24])
@pytest.mark.parametrize("capacity", [64, 4])
def test_segments_of_any_length_give_the_same_states(
    make: Callable[[], Lifetime], length: int, capacity: int
) -> None:
    capacity = max(capacity, 6) if make is not expire_span else capacity  # a window fits
    stack = stack_of(make, capacity)
    states = torch.randn(ROWS, STEPS, WIDTH)
    is_first = torch.zeros(ROWS, STEPS, dtype=torch.bool)
    is_first[0, 7] = is_first[2, 10] = is_first[2, 11] = True
    with torch.no_grad():
        whole = stack(states, stack.initial_memory(ROWS), is_first)
        memory, parts = stack.initial_memory(ROWS), []
        for start in range(0, STEPS, length):
            at = slice(start, start + length)
            output = stack(states[:, at], memory, is_first[:, at])
            memory = output.memory
            parts.append(output.states)
    torch.testing.assert_close(torch.cat(parts, 1), whole.states, atol=1e-5, rtol=1e-5)
    assert memory.clock.tolist() == whole.memory.clock.tolist() == [17, 24, 13]
    assert all(slots.num_slots <= capacity for slots in memory.layers)


def held(slots: SlotMemory) -> list[list[tuple[int, float, list[float]]]]:
    """Of each row, the memories by their time of writing: with lifetime, and states and keys."""
    content = torch.cat([slots.hidden, slots.key.transpose(1, 2).flatten(2)], dim=-1)
    rows = zip(slots.written_at.tolist(), slots.span.tolist(), content.tolist(), strict=True)
    return [sorted(m for m in zip(*row, strict=True) if m[1] != FREE) for row in rows]


@every_lifetime
def test_the_memory_is_that_of_acting_step_by_step(make: Callable[[], Lifetime]) -> None:
    stack = stack_of(make)
    layer = stack._layers()[0]
    states = torch.randn(ROWS, STEPS, WIDTH)
    with torch.no_grad():
        memory = stack(states, stack.initial_memory(ROWS)).memory
        slots = SlotMemory.empty(ROWS, 2, WIDTH, HEADS, CPU)
        for t in range(STEPS):
            layer.act(states[:, t], slots, torch.full((ROWS,), t))
        expected = layer.refreshed(slots.compact(memory.clock, layer.ramp))
        found = layer.refreshed(memory.layers[0])
    for one, other in zip(held(found), held(expected), strict=True):
        assert [m[0] for m in one] == [m[0] for m in other]
        assert [m[1] for m in one] == pytest.approx([m[1] for m in other], rel=1e-5)
        torch.testing.assert_close(*(torch.tensor([m[2] for m in x]) for x in (one, other)))


def test_gradients_reach_lifetimes_but_not_an_earlier_segment() -> None:
    stack = stack_of(expire_span)
    first = torch.randn(ROWS, STEPS, WIDTH, requires_grad=True)
    memory = stack(first, stack.initial_memory(ROWS)).memory
    output = stack(torch.randn(ROWS, STEPS, WIDTH), memory)
    (output.states.square().mean() + output.cost).backward()
    assert first.grad is None
    spans = [layer.lifetime for layer in stack._layers()]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for s in spans for p in s.parameters())


def test_expired_states_take_no_memory() -> None:
    stack = stack_of(lambda: FixedWindow(5))
    memory = stack.initial_memory(ROWS)
    for _ in range(6):
        memory = stack(torch.randn(ROWS, STEPS, WIDTH), memory).memory
        assert [slots.num_slots for slots in memory.layers] == [5, 5]


@every_lifetime
@pytest.mark.parametrize("capacity", [64, 6])
def test_attention_in_parts_is_the_same(
    make: Callable[[], Lifetime], capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_of(make, capacity)
    states = torch.randn(ROWS, STEPS, WIDTH)
    memory = stack(states, stack.initial_memory(ROWS)).memory
    results = []
    for most in (layer_module.MOST_SCORES, 7 * ROWS * (memory.layers[0].num_slots + STEPS), 1):
        monkeypatch.setattr(layer_module, "MOST_SCORES", most)
        stack.zero_grad()
        output = stack(states, memory, early=0.3)
        (output.states.square().mean() + 0.01 * output.cost).backward()
        gradients = [p.grad.clone() for p in stack.parameters() if p.grad is not None]
        left = [slots.written_at for slots in output.memory.layers]
        results.append((output.states, output.cost, output.held, gradients, left))
    assert results[0][3], "nothing was learned"
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])
