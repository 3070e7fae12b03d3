"""The recurrent transformer on which all attention agents are based."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from agents.blocks.scaled_agent import ScaledAgent
from agents.transformer.config import TransformerConfig
from agents.transformer.memory import TransformerMemory
from rl_expire.learning.forgetting import ForgettingAgent
from rl_expire.memory.expire_span import is_held
from rl_expire.memory.horizon import FOR_GOOD
from rl_expire.memory.layer import MemoryLayer
from rl_expire.memory.lifetime import Lifetime
from rl_expire.memory.segment import Segment
from rl_expire.memory.slot_memory import FREE, SlotMemory
from rl_expire.types import ActorOutput, AgentOutput, LayerView, TimeStep

INITIAL_SLOTS = 8
"""Slots of a new memory; more are added when they are needed."""

C = TypeVar("C", bound=TransformerConfig)


class MemoryTransformer(
    ScaledAgent[TransformerMemory, C], ForgettingAgent[TransformerMemory], Generic[C]
):
    """Encoder, N layers that each remember their own past inputs, policy and value heads.

    Its arguments are those of `ScaledAgent`.
    """

    def make_layer(self) -> MemoryLayer:
        """Return a new layer."""
        c = self.config
        return MemoryLayer(c.width, c.heads, self.make_lifetime(), self.capacity, c.feed_forward)

    @abstractmethod
    def make_lifetime(self) -> Lifetime:
        """Return a new module that decides the lifetimes in one layer."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Maximum number of memories that a layer holds for one environment."""

    def _layers(self) -> list[MemoryLayer]:
        """Return the layers with their type."""
        return [layer for layer in self.layers if isinstance(layer, MemoryLayer)]

    def initial_memory(self, batch_size: int) -> TransformerMemory:
        """Return an empty memory for `batch_size` environments."""
        return self._empty_memory(batch_size, min(INITIAL_SLOTS, self.capacity))

    def fixed_memory(self, batch_size: int) -> TransformerMemory:
        """Return an empty memory with as many slots as the agent's capacity."""
        return self._empty_memory(batch_size, self.capacity)

    def _empty_memory(self, batch_size: int, slots: int) -> TransformerMemory:
        """Return a memory with `slots` free slots in each layer."""
        device = self.heads.policy.weight.device
        layers = [
            SlotMemory.empty(batch_size, slots, self.config.width, self.config.heads, device)
            for _ in self.layers
        ]
        clock = torch.zeros(batch_size, dtype=torch.int64, device=device)
        return TransformerMemory(layers, clock, self.embedding.initial_seen(batch_size), [])

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: TransformerMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, TransformerMemory]:
        """Choose actions for one step `[B]`; update `memory` in place."""
        memory.clock.masked_fill_(step.is_first, 0)
        state, memory.seen = self.embedding.act(step, memory.seen)
        memory.attention = []
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            slots.forget_rows(step.is_first)
            state, weights = layer.act(state, slots, memory.clock)
            memory.attention.append(weights)
        memory.clock += 1
        return self.heads.act(state, step.action_mask, greedy=greedy), memory

    def unroll(
        self, steps: TimeStep, memory: TransformerMemory, *, early: float = 0.0
    ) -> AgentOutput:
        """Replay steps from `memory` with gradients; leave `memory` unchanged.

        Args:
            steps: `[T, B]`.
            memory: the agent's memory before the first step.
            early: 0 for the same output as `act`; while learning to forget, the share of its
                lifetime by which every memory fades ahead of time.
        """
        embedded, _ = self.embedding(steps, memory.seen)
        states = embedded.transpose(0, 1)
        segment = Segment.of(steps.is_first, memory.clock)
        spans, costs, penalties, diagnostics = [], [], [], {}
        for n, (layer, slots) in enumerate(zip(self._layers(), memory.layers, strict=True)):
            penalties.append(layer.lifetime.span_penalty(states))
            output = layer.unroll(states, slots, segment, early=early)
            states = output.states
            spans.append(output.spans.transpose(0, 1))
            costs.append(output.cost)
            diagnostics[f"kept/{n}"] = output.held
        diagnostics["seen"] = segment.times().float().mean() + 1
        logits, value = self.heads(states.transpose(0, 1), steps.action_mask)
        return AgentOutput(
            logits,
            value,
            aux_loss=torch.stack(costs).mean(),
            spans=torch.stack(spans),
            diagnostics=diagnostics,
            span_penalty=torch.stack(penalties).mean(),
            reconstruction_loss=self.embedding.reconstruction_loss(embedded, steps.obs),
            value_scale=self.heads.value.scale,
        )

    @torch.no_grad()
    def refresh(self, memory: TransformerMemory) -> TransformerMemory:
        """Compact the memory; recompute its keys, values and spans with the current weights."""
        layers = []
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            expired = ~is_held(slots.remaining(memory.clock), layer.ramp)
            spans = layer.refreshed_spans(slots).masked_fill(expired, FREE)
            compacted = replace(slots, span=spans).compact(memory.clock, layer.ramp)
            layers.append(layer.refreshed(compacted))
        return TransformerMemory(layers, memory.clock, memory.seen, [])

    def view(self, memory: TransformerMemory) -> list[LayerView]:
        """Return views of the layers' memories at the step of the last `act`."""
        views = []
        now = memory.clock - 1
        for layer, slots, weights in zip(
            self._layers(), memory.layers, memory.attention, strict=True
        ):
            remaining = slots.remaining(now)
            age = now.unsqueeze(1) - slots.written_at
            aged = slots.aged(age)
            fade = layer.lifetime.fade(remaining.unsqueeze(1), aged.unsqueeze(1))
            views.append(
                LayerView(
                    age=age,
                    span=slots.span.masked_fill(slots.span >= FOR_GOOD, torch.inf),
                    held=is_held(remaining, layer.ramp),
                    mask=fade.exp().amax(1)[:, 0],
                    attention=weights,
                    nbytes=slots.nbytes,
                )
            )
        return views

    @torch.no_grad()
    def calibrate_spans(self, steps: TimeStep, memory: TransformerMemory) -> None:
        """Normalise the inputs of each layer's spans by their statistics over `steps [T, B]`."""
        states = self.embedding(steps, memory.seen)[0].transpose(0, 1)
        segment = Segment.of(steps.is_first, memory.clock)
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            inputs = states
            states = layer.unroll(inputs, slots, segment, early=0.0).states
            layer.lifetime.calibrate(inputs)

    def lifetime_inputs(self) -> list[nn.Parameter]:
        """Return the parameters of the embedding, and of all layers but the last."""
        modules = [self.embedding, *self._layers()[:-1]]
        return [p for module in modules for p in module.parameters()]

    def with_pace(self, memory: TransformerMemory, pace: Tensor) -> TransformerMemory:
        """Return `memory`, whose rows' memories age by `pace [B]` in a step from now on."""
        return replace(memory, layers=[replace(slots, pace=pace) for slots in memory.layers])

    def set_horizon(self, age: float) -> None:
        """Set the age, in steps, up to which training tests memories, in every layer."""
        for layer in self._layers():
            layer.lifetime.set_horizon(age)

    def span_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that determine lifetimes; they have an optimizer of their own."""
        return [p for layer in self._layers() for p in layer.lifetime.parameters()]
