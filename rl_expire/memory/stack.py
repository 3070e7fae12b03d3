"""Layers with memory over a long sequence, for models of one's own and any loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rl_expire.memory.layer import MemoryLayer
from rl_expire.memory.segment import Segment
from rl_expire.memory.slot_memory import SlotMemory


@dataclass(frozen=True)
class StackMemory:
    """What a `MemoryStack` remembers of B sequences.

    Attributes:
        layers: the memory of each of the N layers.
        clock: `[B]` int64, steps since the start of each sequence.
    """

    layers: list[SlotMemory]
    clock: Tensor

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes."""
        return self.clock.nbytes + sum(slots.nbytes for slots in self.layers)


@dataclass(frozen=True)
class StackOutput:
    """Output of a `MemoryStack`.

    Attributes:
        states: `[B, T, D]`.
        memory: for the next segment; it carries no gradients.
        cost: `[]`, mean over the layers of the cost of memory in joint training, in steps (see
            `Lifetime.cost`); 0 for fixed windows.
        span_penalty: `[]`, mean penalty on the lifetimes, which grows with their logarithm.
        held: `[N]`, mean number of memories that each layer held.
        spans: `[N, B, T]`, lifetimes of the new states, in steps.
    """

    states: Tensor
    memory: StackMemory
    cost: Tensor
    span_penalty: Tensor
    held: Tensor
    spans: Tensor


class MemoryStack(nn.Module):
    """Transformer layers that each remember their own past inputs, from segment to segment.

    A long sequence is processed in segments of T steps, as by Transformer-XL: states from before a
    segment are constants, those within it carry gradients. What a layer remembers, and for how
    long, is up to its `Lifetime`.

    Args:
        layers: N layers, all of one width.
    """

    def __init__(self, layers: Iterable[MemoryLayer]):
        """Hold the layers."""
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def _layers(self) -> list[MemoryLayer]:
        """Return the layers with their type."""
        return [layer for layer in self.layers if isinstance(layer, MemoryLayer)]

    def span_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that determine lifetimes; none for fixed windows."""
        return [p for layer in self._layers() for p in layer.lifetime.parameters()]

    def initial_memory(self, rows: int) -> StackMemory:
        """Return an empty memory for `rows` sequences."""
        weights = [layer.attention.output.weight for layer in self._layers()]
        layers = [
            SlotMemory.empty(rows, 1, len(weight), layer.attention.heads, weight.device)
            for layer, weight in zip(self._layers(), weights, strict=True)
        ]
        return StackMemory(layers, layers[0].written_at.new_zeros(rows))

    def forward(
        self,
        states: Tensor,
        memory: StackMemory,
        is_first: Tensor | None = None,
        *,
        early: float = 0.0,
    ) -> StackOutput:
        """Process the next segment of each sequence.

        Args:
            states: `[B, T, D]`.
            memory: what was returned for the segment before, or an empty memory.
            is_first: `[B, T]` bool, where new sequences begin; None: nowhere.
            early: share of its lifetime by which every memory fades ahead of time, so that the need
                for it is noticed before it is lost; see `early_fade_bias`.
        """
        if is_first is None:
            is_first = torch.zeros(states.shape[:2], dtype=torch.bool, device=states.device)
        segment = Segment.of(is_first.T, memory.clock)
        slots, costs, penalties, held, spans = [], [], [], [], []
        for layer, before in zip(self._layers(), memory.layers, strict=True):
            output = layer.unroll(states, before, segment, early=early)
            slots.append(layer.remember(before, states.detach(), segment, output))
            penalties.append(layer.lifetime.span_penalty(states))
            costs.append(output.cost)
            held.append(output.held)
            spans.append(output.spans)
            states = output.states
        return StackOutput(
            states,
            StackMemory(slots, segment.times()[:, -1] + 1),
            torch.stack(costs).mean(),
            torch.stack(penalties).mean(),
            torch.stack(held),
            torch.stack(spans),
        )
