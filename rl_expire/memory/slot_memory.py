"""A memory of slots: an expired state's slot is free, and the next state takes it.

Attention by age does not care about order, so a new state overwrites the slot that expires first
once that one has expired. Slots are added only when none is free, up to a hard capacity; at the
capacity the memory with the least remaining span is given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from rl_expire.memory.expire_span import is_held
from rl_expire.validate import check_finite, check_keys, check_layout

FREE = -math.inf
"""The span of a free slot."""


@dataclass
class SlotMemory:
    """One layer's memory: B rows of S slots.

    Attributes:
        hidden: `[B, S, D]`, the states, from which keys, values and spans can be recomputed.
        key: `[B, H, S, D/H]`, cached for acting.
        value: `[B, H, S, D/H]`, cached for acting.
        written_at: `[B, S]` int64, on the row's own clock, which counts from its episode's start.
        span: `[B, S]` float32 in steps, `FREE` where the slot is free.
    """

    hidden: Tensor
    key: Tensor
    value: Tensor
    written_at: Tensor
    span: Tensor

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
    def slots(self) -> int:
        """S, the slots of each row, free ones included."""
        return self.span.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes held by all tensors."""
        tensors = (self.hidden, self.key, self.value, self.written_at, self.span)
        return sum(t.nbytes for t in tensors)

    def map(self, function: Callable[[Tensor], Tensor]) -> SlotMemory:
        """Apply `function` to every tensor."""
        return SlotMemory(
            function(self.hidden),
            function(self.key),
            function(self.value),
            function(self.written_at),
            function(self.span),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors by name."""
        return {f.name: getattr(self, f.name).clone() for f in fields(self)}

    def restored(self, state: Any, clock: Tensor, name: str) -> SlotMemory:
        """Return the memory that `state_dict` described, of as many slots as it has.

        Args:
            state: as `state_dict` returned it.
            clock: `[B]` int64, the time of the next write.
            name: what to call it where it is refused.

        Raises:
            ValueError: it does not fit the rows and widths of this memory, or makes no sense.
        """
        check_keys(state, [f.name for f in fields(self)], name)
        slots = state["span"].shape[-1] if isinstance(state["span"], Tensor) else 0
        rows, heads, _, depth = self.key.shape
        like = SlotMemory.empty(rows, slots, heads * depth, heads, self.key.device)
        for key, value in vars(like).items():
            check_layout(state[key], value, f"{name}/{key}")
        found = SlotMemory(**state).map(lambda x: x.to(self.key.device, copy=True))
        for key in ("hidden", "key", "value"):
            check_finite(getattr(found, key), f"{name}/{key}")
        held = found.span != FREE
        check_finite(found.span[held], f"{name}/span")
        written = found.written_at
        if not slots or bool((held & ((written < 0) | (written > clock.unsqueeze(1)))).any()):
            raise ValueError(f"{name} was written in the future, or not at all")
        return found

    def remaining(self, clock: Tensor) -> Tensor:
        """Return `[B, S]`, the steps each memory has left at `clock [B]`; -inf where free."""
        return self.span - (clock.unsqueeze(1) - self.written_at)

    def forget_rows(self, is_first: Tensor) -> None:
        """Free every slot of the rows `is_first [B]` marks."""
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
        """Store one new state a row at `clock [B]`, growing first if some row has no free slot.

        Args:
            hidden: `[B, D]`.
            key: `[B, H, D/H]`.
            value: `[B, H, D/H]`.
            span: `[B]`, in steps.
            clock: `[B]` int64, now.
            ramp: R, in steps.
            capacity: the most slots a row may have.
        """
        remaining = self.remaining(clock)
        least, slot = remaining.min(dim=1)
        # On a GPU this reads one flag whose work ended with the previous step's action transfer.
        if self.slots < capacity and bool(is_held(least, ramp).any()):
            slot = torch.where(is_held(least, ramp), self.slots, slot)
            self._grow(min(capacity, self.slots + max(4, self.slots // 8)))
        rows = torch.arange(slot.shape[0], device=slot.device)
        self.hidden[rows, slot] = hidden
        self.key[rows, :, slot] = key
        self.value[rows, :, slot] = value
        self.written_at[rows, slot] = clock
        self.span[rows, slot] = span

    def _grow(self, slots: int) -> None:
        rows, heads, old, depth = self.key.shape
        more = SlotMemory.empty(rows, slots - old, heads * depth, heads, self.key.device)
        self.hidden = torch.cat([self.hidden, more.hidden], dim=1)
        self.key = torch.cat([self.key, more.key], dim=2)
        self.value = torch.cat([self.value, more.value], dim=2)
        self.written_at = torch.cat([self.written_at, more.written_at], dim=1)
        self.span = torch.cat([self.span, more.span], dim=1)

    def compact(self, clock: Tensor, ramp: float) -> SlotMemory:
        """Return a copy with only the slots still needed by the row that holds most.

        `key` and `value` of the copy are to be recomputed by the caller; `clock [B]` is the time of
        the next write.
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
        )
