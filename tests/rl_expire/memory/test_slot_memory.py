"""Slot memory: reuse, growth, eviction, and that expired memories have no influence."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.transformer import TransformerMemory
from rl_expire.memory.expire_span import is_held
from rl_expire.memory.slot_memory import FREE, SlotMemory
from tests.support import (
    CPU,
    VECTOR,
    act_over,
    expire_agent,
    random_steps,
    set_spans,
    slots_of,
)

WIDTH, HEADS, RAMP = 4, 2, 2.0


def empty(rows: int = 1, slots: int = 2) -> SlotMemory:
    """Return a small empty memory."""
    return SlotMemory.empty(rows, slots, WIDTH, HEADS, CPU)


def keys_of(hidden: Tensor) -> Tensor:
    """Return made-up keys `[B, H, S, D/H]` for `[B, S, D]`; values are their negatives."""
    return (10 * hidden).unflatten(-1, (HEADS, -1)).transpose(1, 2)


def write(
    memory: SlotMemory, tag: list[float], span: list[float], clock: list[int], capacity: int = 9
) -> None:
    """Store one state in each row, all of whose elements are `tag`."""
    hidden = torch.tensor(tag, dtype=torch.float32).unsqueeze(1).expand(-1, WIDTH)
    key = keys_of(hidden.unsqueeze(1))[:, :, 0]
    memory.write(
        hidden, key, -key, torch.tensor(span), torch.tensor(clock), ramp=RAMP, capacity=capacity
    )


def tags(memory: SlotMemory) -> list[list[float]]:
    """Return the tag of each slot after checking that its tensors agree; 0 if never written."""
    hidden = memory.hidden
    assert (hidden == hidden[..., :1]).all()
    assert torch.equal(memory.key, keys_of(hidden))
    assert torch.equal(memory.value, -keys_of(hidden))
    return hidden[..., 0].tolist()


def test_all_slots_of_a_new_memory_are_free() -> None:
    memory = empty(rows=3, slots=5)
    assert (memory.span == FREE).all()
    assert not is_held(memory.remaining(torch.tensor([0, 5, 10**6])), RAMP).any()


def test_remaining_span_counts_down() -> None:
    memory = empty(rows=2)
    write(memory, [1, 2], [5.5, 0.0], [3, 7])
    remaining = memory.remaining(torch.tensor([3, 7])).max(1).values
    assert remaining.tolist() == [5.5, 0.0]
    remaining = memory.remaining(torch.tensor([13, 8])).max(1).values
    assert remaining.tolist() == [-4.5, -1.0]


def test_a_new_state_takes_the_slot_of_an_expired_one() -> None:
    memory = empty(slots=3)
    for clock, span in enumerate([20.0, 1.0, 20.0]):
        write(memory, [clock + 1], [span], [clock])
    before = tags(memory)[0]
    where = before.index(2)
    # The second one, written at 1 with a span of 1, has remaining -2 = -R at clock 4.
    write(memory, [9], [5.0], [4])
    after = tags(memory)[0]
    assert memory.num_slots == 3
    assert after[where] == 9
    assert [x for x in after if x != 9] == [x for x in before if x != 2]
    assert int(memory.written_at[0, where]) == 4
    assert float(memory.span[0, where]) == 5.0


def test_the_slot_that_expired_first_is_taken_first() -> None:
    memory = empty(slots=3)
    for clock, span in enumerate([3.0, 1.0, 1.5]):
        write(memory, [clock + 1], [span], [clock])
    write(memory, [9], [1.0], [50])
    assert sorted(tags(memory)[0]) == [1, 3, 9]


def test_slots_are_added_only_when_none_is_free() -> None:
    memory = empty(slots=2)
    sizes = []
    for clock in range(8):
        write(memory, [clock + 1], [3.0], [clock])
        sizes.append(memory.num_slots)
    # With spans of 3 and a ramp of 2, five are held at a time: ages 0 to 4.
    assert sizes == [2, 2, 6, 6, 6, 6, 6, 6]
    assert sorted(tags(memory)[0])[-5:] == [4, 5, 6, 7, 8]


def test_adding_slots_for_one_row_leaves_the_others_in_place() -> None:
    memory = empty(rows=2, slots=1)
    write(memory, [1, 11], [50.0, 0.0], [0, 0])
    write(memory, [2, 12], [50.0, 0.0], [9, 9])
    assert memory.num_slots == 5
    assert tags(memory) == [[1, 2, 0, 0, 0], [12, 0, 0, 0, 0]]


@pytest.mark.parametrize("capacity", [1, 7])
def test_slots_never_exceed_the_capacity(capacity: int) -> None:
    memory = empty(slots=1)
    for clock in range(12):
        write(memory, [clock + 1], [100.0], [clock], capacity)
        assert memory.num_slots <= capacity
    assert memory.num_slots == capacity


def test_at_capacity_the_least_remaining_span_is_evicted() -> None:
    memory = empty(slots=3)
    for clock, span in enumerate([40.0, 30.0, 31.0]):  # remaining at 3: 37, 28, 30
        write(memory, [clock + 1], [span], [clock], capacity=3)
    write(memory, [4], [5.0], [3], capacity=3)
    assert sorted(tags(memory)[0]) == [1, 3, 4]
    write(memory, [5], [100.0], [4], capacity=3)
    assert sorted(tags(memory)[0]) == [1, 3, 5]


def test_forget_rows_frees_only_those_rows() -> None:
    memory = empty(rows=3)
    write(memory, [1, 2, 3], [9.0, 9.0, 9.0], [0, 0, 0])
    memory.forget_rows(torch.tensor([True, False, True]))
    held = is_held(memory.remaining(torch.ones(3, dtype=torch.int64)), RAMP)
    assert held.sum(1).tolist() == [0, 1, 0]


def test_compact_keeps_held_memories_in_as_few_slots_as_possible() -> None:
    memory = empty(rows=2, slots=4)
    for clock, spans in enumerate([[0.0, 50.0], [50.0, 0.0], [50.0, 0.0], [50.0, 50.0]]):
        write(memory, [clock + 1, clock + 11], spans, [clock, clock])
    clock = torch.tensor([5, 5])
    compacted = memory.compact(clock, RAMP)
    held = is_held(compacted.remaining(clock), RAMP)
    assert compacted.num_slots == 3
    assert held.sum(1).tolist() == [3, 2]
    assert compacted.hidden[0, held[0], 0].tolist() == [2, 3, 4]
    assert compacted.hidden[1, held[1], 0].tolist() == [11, 14]
    assert compacted.written_at[1, held[1]].tolist() == [0, 3]
    assert (compacted.span[~held] == FREE).all()
    assert compacted.key.shape[2] == compacted.value.shape[2] == 3
    assert memory.num_slots == 4, "the original has changed"


def test_compact_leaves_at_least_one_slot() -> None:
    compacted = empty(rows=2, slots=8).compact(torch.zeros(2, dtype=torch.int64), RAMP)
    assert compacted.num_slots == 1
    assert (compacted.span == FREE).all()


@dataclass
class Naive:
    """The same rules with one dictionary per row, from written_at to (tag, span)."""

    capacity: int
    slots: int
    rows: list[dict[int, tuple[float, float]]] = field(default_factory=list)

    def held(self, row: int, clock: int) -> dict[int, tuple[float, float]]:
        """Return the memories of a row that can still be attended to."""
        return {at: m for at, m in self.rows[row].items() if m[1] - (clock - at) > -RAMP}

    def write(self, tag: list[float], span: list[float], clock: list[int]) -> int:
        """Store one state in each row; return the number of evicted memories."""
        self.rows = [self.held(row, clock[row]) for row in range(len(self.rows))]
        if self.slots < self.capacity and any(len(row) >= self.slots for row in self.rows):
            self.slots = min(self.capacity, self.slots + max(4, self.slots // 8))
        evicted = 0
        for row, now, t, e in zip(self.rows, clock, tag, span, strict=True):
            if len(row) == self.capacity:
                del row[min(row, key=lambda at, row=row, now=now: row[at][1] - (now - at))]
                evicted += 1
            row[now] = (t, e)
        return evicted


def contents(memory: SlotMemory, clock: list[int]) -> list[dict[int, tuple[float, float]]]:
    """Return the held memories of each row, in the form of `Naive`."""
    tags(memory)
    held = is_held(memory.remaining(torch.tensor(clock)), RAMP)
    return [
        {
            int(memory.written_at[row, s]): (
                float(memory.hidden[row, s, 0]),
                float(memory.span[row, s]),
            )
            for s in range(memory.num_slots)
            if held[row, s]
        }
        for row in range(len(clock))
    ]


@pytest.mark.parametrize(
    ("capacity", "longest", "full"),
    [(3, 30.0, True), (8, 12.0, True), (50, 60.0, False), (64, 4.0, False)],
)
@pytest.mark.parametrize("seed", range(2))
def test_equals_a_dictionary_per_row(capacity: int, longest: float, full: bool, seed: int) -> None:
    draw = random.Random(seed)
    rows = 4
    memory, clock = empty(rows, min(2, capacity)), [0] * rows
    naive = Naive(capacity, memory.num_slots, [{} for _ in range(rows)])
    evicted = grown = 0
    for step in range(150):
        if draw.random() < 0.1:
            first = [draw.random() < 0.4 for _ in range(rows)]
            memory.forget_rows(torch.tensor(first))
            for row in range(rows):
                if first[row]:
                    naive.rows[row], clock[row] = {}, 0
        # Quarters are exact in float32; the small part makes all spans different.
        span = [round(4 * longest * draw.random() ** 2) / 4 + 2.0**-12 * step for _ in range(rows)]
        tag = [float(1 + rows * step + row) for row in range(rows)]
        before = naive.slots
        write(memory, tag, span, clock, capacity)
        evicted += naive.write(tag, span, clock)
        grown += naive.slots > before
        assert memory.num_slots == naive.slots
        assert contents(memory, clock) == naive.rows
        clock = [c + 1 for c in clock]
        if draw.random() < 0.1:
            memory = memory.compact(torch.tensor(clock), RAMP)
            memory.key = keys_of(memory.hidden).contiguous()
            memory.value = -memory.key
            needed = [naive.held(row, clock[row]) for row in range(rows)]
            assert contents(memory, clock) == needed
            naive.slots = max(1, *(len(row) for row in needed))
            assert memory.num_slots == naive.slots
    assert grown > 0
    assert (evicted > 0) == full, "the case does not test what it should"


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
