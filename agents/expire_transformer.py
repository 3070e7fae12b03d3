"""A recurrent transformer whose memories each carry a learned lifetime."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks import FeedForward, Heads, StepEmbedding, num_actions
from rl_expire.attention import MemoryAttention
from rl_expire.expire_span import Fade, SpanHead, fade_bias, is_held, mean_span, ramp_span
from rl_expire.slot_memory import SlotMemory
from rl_expire.types import ActorOutput, Evaluation, LayerView, TimeStep


@dataclass(frozen=True)
class ExpireSpanConfig:
    """The Expire-Span transformer."""

    width: int = 64
    """Width D of the states."""
    heads: int = 4
    """Attention heads; must divide the width."""
    layers: int = 1
    """Layers, each with a memory of its own."""
    feed_forward: int = 2
    """Hidden width of the feed-forward part, as a multiple of the width."""
    max_span: float = 600.0
    """L, the longest lifetime a memory can be given, in steps."""
    initial_fraction: float = 0.5
    """The share of L that every memory lives before anything is learned."""
    ramp: float = 8.0
    """R, the steps over which an expiring memory fades; the reach of learning to forget."""
    fade: Fade = "log-linear"
    """Shape of the fade: ours (log-linear) or the paper's (linear)."""
    span_cost: Literal["mean", "ramp"] = "mean"
    """What forgetting is paid for by: the `mean` span, or spans on the `ramp` only."""
    capacity: int = 1024
    """The most memories a layer holds for one environment, whatever their spans."""

    def __post_init__(self) -> None:
        for name in ("width", "heads", "layers", "feed_forward", "capacity"):
            if getattr(self, name) < 1:
                option = "--agent." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose 1 or more")
        if self.width % self.heads:
            raise ValueError(
                f"--agent.heads {self.heads} does not divide --agent.width {self.width}: "
                "change one of them"
            )
        for name in ("max_span", "ramp"):
            if not 0 < getattr(self, name) < math.inf:
                option = "--agent." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose a number above 0")
        if not 0 < self.initial_fraction < 1:
            raise ValueError(
                f"--agent.initial-fraction is {self.initial_fraction}: choose one between 0 and 1"
            )


@dataclass
class ExpireMemory:
    """The agent's memory: one `SlotMemory` a layer and a clock a row.

    Attributes:
        layers: N slot memories.
        clock: `[B]` int64, steps since the episode of each row began.
        attention: per layer `[B, H, S]`, the weights of the last `act`, for viewing.
    """

    layers: list[SlotMemory]
    clock: Tensor
    attention: list[Tensor]

    def select(self, rows: Tensor) -> ExpireMemory:
        """Return a copy with only the environments `rows [K]`."""
        return ExpireMemory([m.map(lambda x: x[rows]) for m in self.layers], self.clock[rows], [])

    def snapshot(self) -> ExpireMemory:
        """Return a detached copy."""
        layers = [m.map(lambda x: x.detach().clone()) for m in self.layers]
        return ExpireMemory(layers, self.clock.clone(), [])


class ExpireLayer(nn.Module):
    """One pre-norm transformer layer with a memory of its own past inputs."""

    def __init__(self, config: ExpireSpanConfig):
        super().__init__()
        width = config.width
        self.ramp, self.capacity = config.ramp, config.capacity
        self.fade: Fade = config.fade
        self.span_cost = config.span_cost
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MemoryAttention(width, config.heads)
        self.span_head = SpanHead(width, config.max_span, config.initial_fraction)
        self.feed_forward = FeedForward(width, config.feed_forward * width)

    def act(self, state: Tensor, slots: SlotMemory, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Store `state [B, D]`, attend, and return the next layer's input and the weights."""
        normed = self.attention_norm(state).unsqueeze(1)
        key, value = self.attention.project_memory(normed)
        slots.write(
            state,
            key[:, :, 0],
            value[:, :, 0],
            self.span_head(state),
            clock,
            ramp=self.ramp,
            capacity=self.capacity,
        )
        bias = fade_bias(slots.remaining(clock), self.ramp, self.fade).unsqueeze(1)
        age = (clock.unsqueeze(1) - slots.written_at).unsqueeze(1)
        query = self.attention.project_query(normed)
        mixed, weights = self.attention(query, slots.key, slots.value, age, bias)
        state = state + mixed[:, 0]
        return state + self.feed_forward(state), weights[:, :, 0]

    def evaluate(
        self, states: Tensor, episode: Tensor, slots: SlotMemory, clock: Tensor, *, faded: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do for `states [B, T, D]` at once what `act` does one by one.

        Args:
            states: the layer's inputs of this segment.
            episode: `[B, T]` int, the number of episode starts so far in the segment.
            slots: the memory before the segment, constant but for its keys, values and spans,
                which are computed anew.
            clock: `[B]`, the time of the segment's first step on each row's clock.
            faded: false lets every memory still held count fully (the teacher of forgetting).

        Returns:
            The next layer's input `[B, T, D]`, the states' spans `[B, T]`, the cost of this
            layer's memory `[]`, and the mean number of memories kept `[]`.
        """
        memory = torch.cat([slots.hidden, states], dim=1)
        normed = self.attention_norm(memory)
        key, value = self.attention.project_memory(normed)
        query = self.attention.project_query(normed[:, slots.slots :])
        spans = self.span_head(memory)
        age, visible = self._reach(episode, slots, clock)
        remaining = spans.unsqueeze(1) - age
        if slots.slots + states.shape[1] > self.capacity:
            visible = visible & ~evicted(remaining, visible, self.ramp, self.capacity)
        shown = (
            remaining
            if faded
            else remaining.clamp(min=0).where(is_held(remaining, self.ramp), remaining)
        )
        bias = fade_bias(shown, self.ramp, self.fade).masked_fill(~visible, -torch.inf)
        mixed, _ = self.attention(query, key, value, age, bias)
        states = states + mixed
        own = spans[:, slots.slots :]
        cost = mean_span(own)
        if self.span_cost == "ramp":
            cost = ramp_span(spans, remaining.masked_fill(~visible, torch.inf), self.ramp)
        kept = (visible & is_held(remaining, self.ramp)).sum(-1).float().mean()
        return states + self.feed_forward(states), own, cost, kept

    def _reach(self, episode: Tensor, slots: SlotMemory, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Return `age` and `visible`, `[B, T, S+T]`, of all memories from each step's query."""
        steps = torch.arange(episode.shape[1], device=episode.device)
        now = clock.unsqueeze(1) + steps
        old_age = now.unsqueeze(2) - slots.written_at.unsqueeze(1)
        own_age = (steps.unsqueeze(1) - steps).expand(len(episode), -1, -1)
        held = is_held(slots.remaining(clock), self.ramp)
        old_visible = held.unsqueeze(1) & (episode == 0).unsqueeze(2)
        own_visible = (own_age >= 0) & (episode.unsqueeze(2) == episode.unsqueeze(1))
        return torch.cat([old_age, own_age], dim=2), torch.cat([old_visible, own_visible], dim=2)


@torch.no_grad()
def evicted(remaining: Tensor, visible: Tensor, ramp: float, capacity: int) -> Tensor:
    """Replay which memories a full row gave up.

    Args:
        remaining: `[B, T, K]`, K = S + T, in steps; step t's own state is memory S + t.
        visible: `[B, T, K]`, by episode and causality.
        ramp: R, in steps.
        capacity: the most memories held at once.

    Returns:
        `[B, T, K]` bool: given up at that step or before.
    """
    rows, steps, keys = remaining.shape
    gone = torch.zeros(rows, keys, dtype=torch.bool, device=remaining.device)
    history = []
    for t in range(steps):
        held = visible[:, t] & is_held(remaining[:, t], ramp) & ~gone
        held[:, keys - steps + t] = False
        full = held.sum(1) >= capacity
        least = remaining[:, t].masked_fill(~held, torch.inf).argmin(1)
        gone[full, least[full]] = True
        history.append(gone.clone())
    return torch.stack(history, dim=1)


class ExpireTransformer(nn.Module):
    """Encoder, N Expire-Span layers, policy and value heads."""

    def __init__(
        self, observation_space: gym.Space, action_space: gym.Space, config: ExpireSpanConfig
    ):
        super().__init__()
        self.config = config
        actions = num_actions(action_space)
        self.embedding = StepEmbedding(observation_space, actions, config.width)
        self.layers = nn.ModuleList(ExpireLayer(config) for _ in range(config.layers))
        self.heads = Heads(config.width, actions)

    def _layers(self) -> list[ExpireLayer]:
        return [layer for layer in self.layers if isinstance(layer, ExpireLayer)]

    def initial_memory(self, batch_size: int) -> ExpireMemory:
        """Return an empty memory for `batch_size` environments."""
        device = self.heads.policy.weight.device
        slots = min(8, self.config.capacity)
        layers = [
            SlotMemory.empty(batch_size, slots, self.config.width, self.config.heads, device)
            for _ in self.layers
        ]
        return ExpireMemory(layers, torch.zeros(batch_size, dtype=torch.int64, device=device), [])

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: ExpireMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, ExpireMemory]:
        """Choose actions for one step `[B]`; updates `memory` in place."""
        memory.clock.masked_fill_(step.is_first, 0)
        state = self.embedding(step)
        memory.attention = []
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            slots.forget_rows(step.is_first)
            state, weights = layer.act(state, slots, memory.clock)
            memory.attention.append(weights)
        memory.clock += 1
        return self.heads.act(state, greedy=greedy), memory

    def evaluate(self, steps: TimeStep, memory: ExpireMemory, *, faded: bool = True) -> Evaluation:
        """Replay `steps [T, B]` from `memory` with gradients."""
        states = self.embedding(steps).transpose(0, 1)
        episode = steps.is_first.long().cumsum(0).transpose(0, 1)
        spans, costs, diagnostics = [], [], {}
        for n, (layer, slots) in enumerate(zip(self._layers(), memory.layers, strict=True)):
            states, own, cost, kept = layer.evaluate(
                states, episode, slots, memory.clock, faded=faded
            )
            spans.append(own.transpose(0, 1))
            costs.append(cost)
            diagnostics[f"kept/{n}"] = kept
        logits, value = self.heads(states.transpose(0, 1))
        return Evaluation(logits, value, torch.stack(costs).mean(), torch.stack(spans), diagnostics)

    @torch.no_grad()
    def refresh(self, memory: ExpireMemory) -> ExpireMemory:
        """Compact the memory; recompute its keys, values and spans with the current weights."""
        layers = []
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            compacted = slots.compact(memory.clock, layer.ramp)
            normed = layer.attention_norm(compacted.hidden)
            compacted.key, compacted.value = layer.attention.project_memory(normed)
            free = compacted.span == -torch.inf
            compacted.span = layer.span_head(compacted.hidden).masked_fill(free, -torch.inf)
            layers.append(compacted)
        return ExpireMemory(layers, memory.clock, [])

    def view(self, memory: ExpireMemory) -> list[LayerView]:
        """Open the memory as it was at the step just acted on."""
        views = []
        now = memory.clock - 1
        for layer, slots, weights in zip(
            self._layers(), memory.layers, memory.attention, strict=True
        ):
            remaining = slots.remaining(now)
            views.append(
                LayerView(
                    age=now.unsqueeze(1) - slots.written_at,
                    span=slots.span,
                    held=is_held(remaining, layer.ramp),
                    mask=fade_bias(remaining, layer.ramp, layer.fade).exp(),
                    attention=weights,
                    nbytes=slots.nbytes,
                )
            )
        return views

    @torch.no_grad()
    def calibrate_spans(self, steps: TimeStep, memory: ExpireMemory) -> None:
        """Centre what each layer's spans are computed from on the states of `steps [T, B]`."""
        states = self.embedding(steps).transpose(0, 1)
        episode = steps.is_first.long().cumsum(0).transpose(0, 1)
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            inputs = states
            states, *_ = layer.evaluate(inputs, episode, slots, memory.clock, faded=True)
            layer.span_head.calibrate(inputs)

    def span_parameters(self) -> list[nn.Parameter]:
        """The parameters that decide lifetimes, which learn apart from the rest."""
        return [p for layer in self._layers() for p in layer.span_head.parameters()]

    def trunk_parameters(self) -> list[nn.Parameter]:
        """All other parameters."""
        spans = {id(p) for p in self.span_parameters()}
        return [p for p in self.parameters() if id(p) not in spans]
