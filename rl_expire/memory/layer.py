"""A transformer layer with a memory of its own past inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rl_expire.memory.attention import MemoryAttention
from rl_expire.memory.expire_span import early_for, is_held
from rl_expire.memory.feed_forward import FeedForward
from rl_expire.memory.lifetime import Lifetime
from rl_expire.memory.segment import Segment, replay_evictions
from rl_expire.memory.slot_memory import FREE, SlotMemory

MOST_SCORES = 2**23
"""Most scores of a head that are computed at once. Of more, those of some steps are computed after
those of others, and again for the gradients, so that no more have to be kept."""


@dataclass(frozen=True)
class LayerOutput:
    """Output of `MemoryLayer.unroll`.

    Attributes:
        states: `[B, T, D]`, inputs of the next layer.
        spans: `[B, T]`, lifetimes of the segment's states, in steps.
        cost: `[]`, cost of the layer's memory, see `Lifetime.cost`.
        held: `[]`, mean number of memories held, see `SlotMemory.mean_held`.
        left: `[B, S + T]` bool, which of the memories before the segment and its own states are
            held at its last step; None where they are not told apart.
    """

    states: Tensor
    spans: Tensor
    cost: Tensor
    held: Tensor
    left: Tensor | None = None


class Attended(NamedTuple):
    """What P steps of a segment made of the memory.

    Attributes:
        mixed: `[B, P, D]`, outputs of the attention.
        cost: `[]`, see `Lifetime.cost`.
        held: `[]`, mean number of memories held.
        left: `[B, K]` bool, which memories are held at the last of the steps.
        evicted: `[B, K]` bool, which were evicted up to it.
    """

    mixed: Tensor
    cost: Tensor
    held: Tensor
    left: Tensor
    evicted: Tensor


def parts_of(steps: int, memories: int) -> list[slice]:
    """Return T steps in parts, such that no matrix of attention is larger than `MOST_SCORES`.

    Args:
        steps: T.
        memories: number of memories that each step attends to, of all rows together.
    """
    size = max(1, MOST_SCORES // memories)
    return [slice(start, min(start + size, steps)) for start in range(0, steps, size)]


class MemoryLayer(nn.Module):
    """Pre-norm transformer layer that attends to a memory of its own past inputs.

    Args:
        width: D.
        heads: H, which must divide D.
        lifetime: decides how long each state is held.
        capacity: maximum number of memories of one row.
        feed_forward: hidden width of the feed-forward block, as a multiple of the width.
    """

    def __init__(
        self, width: int, heads: int, lifetime: Lifetime, capacity: int, feed_forward: int = 2
    ):
        """Create the weights."""
        super().__init__()
        self.capacity = capacity
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MemoryAttention(width, heads)
        self.lifetime = lifetime
        self.feed_forward = FeedForward(width, feed_forward * width)

    @property
    def ramp(self) -> float:
        """R, in steps: a memory is dropped once its remaining lifetime is -R or less."""
        return self.lifetime.ramp

    def spans_at(self, states: Tensor, time: Tensor) -> Tensor:
        """Return the lifetimes `[...]` of new `states [..., D]` written at `time [...]`."""
        return self.lifetime(states)

    def refreshed_spans(self, slots: SlotMemory) -> Tensor:
        """Return the lifetimes `[B, S]` of memories under the current weights."""
        return self.lifetime(slots.hidden)

    def act(self, state: Tensor, slots: SlotMemory, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Store a state, then attend to the memory.

        Args:
            state: `[B, D]`, the layer's input.
            slots: the layer's memory, updated in place.
            clock: `[B]`, current time.

        Returns:
            The input of the next layer `[B, D]`, and the attention weights `[B, H, S]`.
        """
        normed = self.attention_norm(state).unsqueeze(1)
        key, value = self.attention.project_memory(normed)
        slots.write(
            state,
            key[:, :, 0],
            value[:, :, 0],
            self.spans_at(state, clock),
            clock,
            ramp=self.ramp,
            capacity=self.capacity,
        )
        age = (clock.unsqueeze(1) - slots.written_at).unsqueeze(1)
        bias = self.lifetime.fade(slots.remaining(clock).unsqueeze(1), slots.aged(age))
        query = self.attention.project_query(normed)
        mixed, weights = self.attention(
            query, slots.key, slots.value, self.lifetime.ages(age), bias
        )
        state = state + mixed[:, 0]
        return state + self.feed_forward(state), weights[:, :, 0]

    def unroll(
        self, states: Tensor, slots: SlotMemory, segment: Segment, *, early: float
    ) -> LayerOutput:
        """Process a whole segment at once, with the same result as calling `act` step by step.

        Args:
            states: `[B, T, D]`, the layer's inputs in the segment.
            slots: the memory before the segment. Its states are constants; their keys, values and
                spans are recomputed.
            segment: when the steps take place.
            early: see `MemoryTransformer.unroll`.
        """
        memory = torch.cat([slots.hidden, states], dim=1)
        normed = self.attention_norm(memory)
        key, value = self.attention.project_memory(normed)
        query = self.attention.project_query(normed[:, slots.num_slots :])
        spans = self.lifetime(memory, early=early)
        evicted = torch.zeros(memory.shape[:2], dtype=torch.bool, device=memory.device)
        parts = parts_of(states.shape[1], evicted.numel())
        attended = []
        for part in parts:
            attend = partial(self._attend, slots, segment, part, early)
            inputs = query[:, :, part], key, value, spans, evicted
            attended.append(
                attend(*inputs)
                if len(parts) == 1
                else checkpoint(attend, *inputs, use_reentrant=False)
            )
            evicted = attended[-1].evicted
        share = [(part.stop - part.start) / states.shape[1] for part in parts]
        states = states + torch.cat([a.mixed for a in attended], dim=1)
        return LayerOutput(
            states + self.feed_forward(states),
            spans[:, slots.num_slots :],
            torch.stack([s * a.cost for s, a in zip(share, attended, strict=True)]).sum(),
            torch.stack([s * a.held for s, a in zip(share, attended, strict=True)]).sum(),
            attended[-1].left,
        )

    def _attend(
        self,
        slots: SlotMemory,
        segment: Segment,
        part: slice,
        early: float,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        spans: Tensor,
        evicted: Tensor,
    ) -> Attended:
        """Attend from some steps of a segment to all memories, see `unroll`.

        Args:
            slots: the memory before the segment.
            segment: when the steps take place.
            part: P of its steps.
            early: as for `unroll`.
            query: `[B, H, P, D/H]`.
            key: `[B, H, K, D/H]`.
            value: `[B, H, K, D/H]`.
            spans: `[B, K]`, in steps.
            evicted: `[B, K]` bool, which memories were evicted before these steps.
        """
        age, visible = segment.reach(slots, self.ramp, part)
        aged = slots.aged(age)
        remaining = spans.unsqueeze(1) - aged
        if spans.shape[1] > self.capacity:
            evicted, first = evicted.clone(), slots.num_slots + part.start
            visible = visible & ~replay_evictions(
                remaining, visible, evicted, first, self.ramp, self.capacity
            )
        held = visible & is_held(remaining, self.ramp)
        bias = self.lifetime.fade(remaining, aged, early_for(slots.pace, early))
        mixed, _ = self.attention(
            query,
            key,
            value,
            self.lifetime.ages(age),
            bias.masked_fill(~held.unsqueeze(1), -torch.inf),
        )
        own = spans[:, slots.num_slots :]
        cost = self.lifetime.cost(own, spans, remaining.masked_fill(~visible, torch.inf))
        return Attended(mixed, cost, slots.mean_held(held), held[:, -1], evicted)

    @torch.no_grad()
    def remember(
        self, slots: SlotMemory, states: Tensor, segment: Segment, output: LayerOutput
    ) -> SlotMemory:
        """Return the memory after a segment, without keys and values.

        It holds what calls of `act` would have left. `unroll` computes keys and values anew; `act`
        needs those of `refreshed`.

        Args:
            slots: the memory before the segment.
            states: `[B, T, D]`, the layer's inputs in the segment.
            segment: when its steps take place.
            output: what `unroll` returned for the segment.
        """
        assert output.left is not None
        times = segment.times()
        before = torch.cat([slots.span, output.spans], dim=1)
        nothing = states.new_zeros(len(states), self.attention.heads, 0, 1)
        memory = SlotMemory(
            hidden=torch.cat([slots.hidden, states], dim=1),
            key=nothing,
            value=nothing,
            written_at=torch.cat([slots.written_at, times], dim=1),
            span=before.masked_fill(~output.left, FREE),
            pace=slots.pace,
        )
        return memory.compact(times[:, -1] + 1, self.ramp)

    def refreshed(self, slots: SlotMemory) -> SlotMemory:
        """Return a memory with the keys and values of its states under the current weights."""
        key, value = self.attention.project_memory(self.attention_norm(slots.hidden))
        # Contiguous, as they are when loaded from a checkpoint: with other strides, sums may round
        # differently.
        return replace(slots, key=key.contiguous(), value=value.contiguous())
