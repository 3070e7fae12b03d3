"""Slot memory: reuse, growth, eviction, and equality with a dictionary."""

import random
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from rl_expire.memory.expire_span import is_held
from rl_expire.memory.slot_memory import FREE, SlotMemory
from tests.support import (
    CPU,
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
