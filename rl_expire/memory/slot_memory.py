"""Memory in slots: when a state expires, its slot is reused for a new state.

Attention by age does not depend on the order of memories, so a new state may overwrite any expired
one; it takes the slot with the least remaining span. Slots are added only when none is free, up to
a hard capacity; beyond it, the memory with the least remaining span is evicted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rl_expire.memory.expire_span import is_held
from rl_expire.validate import check_finite, check_keys, check_layout

FREE = -math.inf
"""The span of a free slot."""
STATE = ("hidden", "key", "value", "written_at", "span")
"""Attributes of a memory that a checkpoint holds."""


@dataclass
class SlotMemory:
    """One layer's memory: B rows of S slots.

    Attributes:
        hidden: `[B, S, D]`, the states, from which keys, values and spans can be recomputed.
        key: `[B, H, S, D/H]`, cached for acting.
        value: `[B, H, S, D/H]`, cached for acting.
        written_at: `[B, S]` int64, time of writing, in steps since the start of the row's episode.
        span: `[B, S]` float32, lifetimes in steps; `FREE` for free slots.
        pace: `[B]`, by how much the memories of each row age in a step; None: by 1 in all rows. It
            belongs to the rows, and is not part of their state.
    """

    hidden: Tensor
    key: Tensor
    value: Tensor
    written_at: Tensor
    span: Tensor
    pace: Tensor | None = None

    @staticmethod
    def empty(rows: int, slots: int, width: int, heads: int, device: torch.device) -> SlotMemory:
        """Return `rows` rows of `slots` free slots."""
        return SlotMemory(
            hidden=torch.zeros(rows, slots, width, device=device),
            key=torch.zeros(rows, heads, slots, width // heads, device=device),
            value=torch.zeros(rows, heads, slots, width // heads, device=device),
            written_at=torch.zeros(rows, slots, dtype=torch.int64, device=device),
            span=torch.full((rows, slots), FREE, device=device),
        )

    @property
    def num_slots(self) -> int:
        """S, the number of slots in each row, including free ones."""
        return self.span.shape[1]

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes."""
        return sum(getattr(self, name).nbytes for name in STATE)

    def map(self, function: Callable[[Tensor], Tensor]) -> SlotMemory:
        """Apply `function` to every tensor."""
        return SlotMemory(
            function(self.hidden),
            function(self.key),
            function(self.value),
            function(self.written_at),
            function(self.span),
            None if self.pace is None else function(self.pace),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all tensors, by name."""
        return {name: getattr(self, name).clone() for name in STATE}

    def restored(self, state: Any, clock: Tensor, name: str) -> SlotMemory:
        """Return a new memory made from the `state_dict` of another, with as many slots as that.

        Args:
            state: what `state_dict` returned.
            clock: `[B]` int64, time of the next write.
            name: name of the memory in error messages.

        Raises:
            ValueError: `state` does not fit the rows and widths of this memory, or is inconsistent.
        """
        check_keys(state, STATE, name)
        slots = state["span"].shape[-1] if isinstance(state["span"], Tensor) else 0
        rows, heads, _, depth = self.key.shape
        expected = SlotMemory.empty(rows, slots, heads * depth, heads, self.key.device)
        for key in STATE:
            check_layout(state[key], getattr(expected, key), f"{name}/{key}")
        memory = SlotMemory(**state).map(lambda x: x.to(self.key.device, copy=True))
        memory.pace = self.pace
        for key in ("hidden", "key", "value"):
            check_finite(getattr(memory, key), f"{name}/{key}")
        used = memory.span != FREE
        check_finite(memory.span[used], f"{name}/span")
        if not slots:
            raise ValueError(f"{name} has no slots")
        written = memory.written_at
        if bool((used & ((written < 0) | (written > clock.unsqueeze(1)))).any()):
            raise ValueError(f"{name}/written_at lies outside the episode")
        return memory

    def remaining(self, clock: Tensor) -> Tensor:
        """Return the remaining spans `[B, S]` at time `clock [B]`; -inf for free slots."""
        return self.span - self.aged(clock.unsqueeze(1) - self.written_at)

    def aged(self, age: Tensor) -> Tensor:
        """Return ages `[B, ...]` as lifetimes count them, given those in steps."""
        if self.pace is None:
            return age
        return age * self.pace.view(-1, *(1,) * (age.ndim - 1))

    def mean_held(self, held: Tensor) -> Tensor:
        """Return the mean number `[]` of memories held in rows whose memories age step by step.

        Args:
            held: `[B, T, K]` bool, which of K memories are held at each step.

        Returns:
            NaN if there is no such row.
        """
        return (held if self.pace is None else held[self.pace == 1]).sum(-1).float().mean()

    def forget_rows(self, is_first: Tensor) -> None:
        """Free all slots of the rows where `is_first [B]` is true."""
        self.span.masked_fill_(is_first.unsqueeze(1), FREE)

    def write(
        self,
        hidden: Tensor,
        key: Tensor,
        value: Tensor,
        span: Tensor,
        clock: Tensor,
        *,
        ramp: float,
        capacity: int,
    ) -> None:
        """Store one new state in each row, after adding slots if some row has no free one.

        Args:
            hidden: `[B, D]`.
            key: `[B, H, D/H]`.
            value: `[B, H, D/H]`.
            span: `[B]`, in steps.
            clock: `[B]` int64, current time.
            ramp: R, in steps.
            capacity: maximum number of slots.
        """
        remaining = self.remaining(clock)
        least, slot = remaining.min(dim=1)
        # On a GPU, this does not wait: reading the previous actions has already synchronised.
        if self.num_slots < capacity and bool(is_held(least, ramp).any()):
            slot = torch.where(is_held(least, ramp), self.num_slots, slot)
            self._grow(min(capacity, self.num_slots + max(4, self.num_slots // 8)))
        rows = torch.arange(slot.shape[0], device=slot.device)
        self.hidden[rows, slot] = hidden
        self.key[rows, :, slot] = key
        self.value[rows, :, slot] = value
        self.written_at[rows, slot] = clock
        self.span[rows, slot] = span

    def _grow(self, slots: int) -> None:
        """Add free slots, up to `slots` in each row."""
        rows, heads, old, depth = self.key.shape
        more = SlotMemory.empty(rows, slots - old, heads * depth, heads, self.key.device)
        self.hidden = torch.cat([self.hidden, more.hidden], dim=1)
        self.key = torch.cat([self.key, more.key], dim=2)
        self.value = torch.cat([self.value, more.value], dim=2)
        self.written_at = torch.cat([self.written_at, more.written_at], dim=1)
        self.span = torch.cat([self.span, more.span], dim=1)

    def compact(self, clock: Tensor, ramp: float) -> SlotMemory:
        """Return a copy with only as many slots as the row with most memories needs.

        The caller has to recompute `key` and `value` of the copy.

        Args:
            clock: `[B]` int64, time of the next write.
            ramp: R, in steps.
        """
        held = is_held(self.remaining(clock), ramp)
        slots = max(1, int(held.sum(1).max()))
        order = torch.argsort((~held).to(torch.uint8), dim=1, stable=True)[:, :slots]
        depth = self.hidden.shape[-1]
        return SlotMemory(
            hidden=self.hidden.gather(1, order.unsqueeze(-1).expand(-1, -1, depth)),
            key=self.key[:, :, :slots],
            value=self.value[:, :, :slots],
            written_at=self.written_at.gather(1, order),
            span=self.span.masked_fill(~held, FREE).gather(1, order),
            pace=self.pace,
        )
