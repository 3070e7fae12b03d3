"""The recurrent transformer that all attention agents share; a `Lifetime` sets them apart."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks import FeedForward, Heads, LayersConfig, StepEmbedding, at_least, num_actions
from rl_expire.learning.forgetting import ForgettingAgent
from rl_expire.memory.attention import MemoryAttention
from rl_expire.memory.expire_span import is_held
from rl_expire.memory.lifetime import Lifetime
from rl_expire.memory.slot_memory import FREE, SlotMemory
from rl_expire.types import ActorOutput, AgentOutput, LayerView, TimeStep
from rl_expire.validate import check_fit, check_keys


@dataclass(frozen=True)
class TransformerConfig(LayersConfig):
    """What every transformer has."""

    heads: int = 4
    """Attention heads; must divide the width."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "heads")
        if self.width % self.heads:
            raise ValueError(
                f"--agent.heads {self.heads} does not divide --agent.width {self.width}: "
                "change one of them"
            )


C = TypeVar("C", bound=TransformerConfig)


@dataclass
class TransformerMemory:
    """The agent's memory: one `SlotMemory` a layer, a clock a row, and the observation before.

    Attributes:
        layers: N slot memories.
        clock: `[B]` int64, steps since the episode of each row began.
        seen: `[B, D]`, the encoded observation before; `[B, 0]` where states do without it.
        attention: per layer `[B, H, S]`, the weights of the last `act`, for viewing.
    """

    layers: list[SlotMemory]
    clock: Tensor
    seen: Tensor
    attention: list[Tensor]

    def select(self, rows: Tensor) -> TransformerMemory:
        """Return a copy with only the environments `rows [K]`."""
        layers = [m.map(lambda x: x[rows]) for m in self.layers]
        return TransformerMemory(layers, self.clock[rows], self.seen[rows], [])

    def snapshot(self) -> TransformerMemory:
        """Return a detached copy."""
        layers = [m.map(lambda x: x.detach().clone()) for m in self.layers]
        return TransformerMemory(layers, self.clock.clone(), self.seen.clone(), [])

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held."""
        return self.clock.nbytes + self.seen.nbytes + sum(slots.nbytes for slots in self.layers)

    def _by_row(self) -> dict[str, Tensor]:
        """Return what is not a layer's, `[B, ...]`, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the tensors, but the attention."""
        rows = {name: value.clone() for name, value in self._by_row().items()}
        return rows | {"layers": [m.state_dict() for m in self.layers]}

    def restored(self, state: Any) -> TransformerMemory:
        """Return the memory that `state_dict` described.

        Raises:
            ValueError: it does not fit this one's layers, rows and widths.
        """
        own = self._by_row()
        check_keys(state, (*own, "layers"), "memory")
        check_fit({name: state[name] for name in own}, own, "memory")
        rows = {name: state[name].to(value.device, copy=True) for name, value in own.items()}
        if bool((rows["clock"] < 0).any()):
            raise ValueError("memory/clock is negative")
        if not isinstance(state["layers"], list) or len(state["layers"]) != len(self.layers):
            raise ValueError(f"memory/layers is not a list of {len(self.layers)}")
        layers = [
            slots.restored(found, rows["clock"], f"memory/layers/{n}")
            for n, (slots, found) in enumerate(zip(self.layers, state["layers"], strict=True))
        ]
        return replace(self, layers=layers, attention=[], **rows)


class MemoryLayer(nn.Module):
    """One pre-norm transformer layer with a memory of its own past inputs."""

    def __init__(self, config: TransformerConfig, lifetime: Lifetime, capacity: int):
        super().__init__()
        width = config.width
        self.capacity = capacity
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MemoryAttention(width, config.heads)
        self.lifetime = lifetime
        self.feed_forward = FeedForward(width, config.feed_forward * width)

    @property
    def ramp(self) -> float:
        """R, in steps: a memory is dropped once it has no more than -R left."""
        return self.lifetime.ramp

    def spans_at(self, states: Tensor, time: Tensor) -> Tensor:
        """Return the lifetimes `[...]` of new `states [..., D]` written at `time [...]`."""
        return self.lifetime(states)

    def refreshed_spans(self, slots: SlotMemory) -> Tensor:
        """Return the lifetimes `[B, S]` of memories with the current weights."""
        return self.lifetime(slots.hidden)

    def act(self, state: Tensor, slots: SlotMemory, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Store `state [B, D]`, attend, and return the next layer's input and the weights."""
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
        bias = self.lifetime.fade(slots.remaining(clock).unsqueeze(1), age)
        query = self.attention.project_query(normed)
        mixed, weights = self.attention(query, slots.key, slots.value, age, bias)
        state = state + mixed[:, 0]
        return state + self.feed_forward(state), weights[:, :, 0]

    def unroll(
        self,
        states: Tensor,
        episode: Tensor,
        slots: SlotMemory,
        clock: Tensor,
        *,
        early: float | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do for `states [B, T, D]` at once what `act` does one by one.

        Args:
            states: the layer's inputs of this segment.
            episode: `[B, T]` int, the number of episode starts so far in the segment.
            slots: the memory before the segment, constant but for its keys, values and spans,
                which are computed anew.
            clock: `[B]`, the time of the segment's first step on each row's clock.
            early: see `MemoryTransformer.unroll`.

        Returns:
            The next layer's input `[B, T, D]`, the states' spans `[B, T]`, the cost of this
            layer's memory `[]`, and the mean number of memories kept `[]`.
        """
        memory = torch.cat([slots.hidden, states], dim=1)
        normed = self.attention_norm(memory)
        key, value = self.attention.project_memory(normed)
        query = self.attention.project_query(normed[:, slots.slots :])
        spans = self.lifetime(memory)
        age, visible = self._reach(episode, slots, clock)
        remaining = spans.unsqueeze(1) - age
        if slots.slots + states.shape[1] > self.capacity:
            visible = visible & ~evicted(remaining, visible, self.ramp, self.capacity)
        held = visible & is_held(remaining, self.ramp)
        bias = torch.zeros_like(remaining).unsqueeze(1)
        if early is not None:
            bias = self.lifetime.fade(remaining, age, early)
        mixed, _ = self.attention(
            query, key, value, age, bias.masked_fill(~held.unsqueeze(1), -torch.inf)
        )
        states = states + mixed
        own = spans[:, slots.slots :]
        cost = self.lifetime.cost(own, spans, remaining.masked_fill(~visible, torch.inf))
        return states + self.feed_forward(states), own, cost, held.sum(-1).float().mean()

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


class MemoryTransformer(ForgettingAgent[TransformerMemory], Generic[C]):
    """Encoder, N layers that each remember their own past inputs, policy and value heads."""

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, config: C):
        super().__init__()
        self.config = config
        actions = num_actions(action_space)
        self.embedding = StepEmbedding(observation_space, actions, config)
        self.layers = nn.ModuleList(self.make_layer() for _ in range(config.layers))
        self.heads = Heads(config.width, actions)

    def make_layer(self) -> MemoryLayer:
        """Return one layer."""
        return MemoryLayer(self.config, self.make_lifetime(), self.capacity)

    @abstractmethod
    def make_lifetime(self) -> Lifetime:
        """Return what decides the lifetimes in one layer."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """The most memories a layer holds for one environment."""

    def _layers(self) -> list[MemoryLayer]:
        return [layer for layer in self.layers if isinstance(layer, MemoryLayer)]

    def initial_memory(self, batch_size: int) -> TransformerMemory:
        """Return an empty memory for `batch_size` environments."""
        device = self.heads.policy.weight.device
        slots = min(8, self.capacity)
        layers = [
            SlotMemory.empty(batch_size, slots, self.config.width, self.config.heads, device)
            for _ in self.layers
        ]
        clock = torch.zeros(batch_size, dtype=torch.int64, device=device)
        return TransformerMemory(layers, clock, self.embedding.nothing_seen(batch_size), [])

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: TransformerMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, TransformerMemory]:
        """Choose actions for one step `[B]`; updates `memory` in place."""
        memory.clock.masked_fill_(step.is_first, 0)
        state, memory.seen = self.embedding.act(step, memory.seen)
        memory.attention = []
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            slots.forget_rows(step.is_first)
            state, weights = layer.act(state, slots, memory.clock)
            memory.attention.append(weights)
        memory.clock += 1
        return self.heads.act(state, greedy=greedy), memory

    def unroll(
        self, steps: TimeStep, memory: TransformerMemory, *, early: float | None = 0.0
    ) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients.

        Args:
            steps: `[T, B]`.
            memory: as it was before the first of them.
            early: 0 for what `act` would say. Otherwise for learning to forget: the share of its
                lifetime for which every memory fades ahead of time, or None, where none fades
                before it is dropped.
        """
        embedded, _ = self.embedding(steps, memory.seen)
        states = embedded.transpose(0, 1)
        episode = steps.is_first.long().cumsum(0).transpose(0, 1)
        spans, costs, prices, diagnostics = [], [], [], {}
        for n, (layer, slots) in enumerate(zip(self._layers(), memory.layers, strict=True)):
            prices.append(layer.lifetime.span_penalty(states))
            states, own, cost, kept = layer.unroll(
                states, episode, slots, memory.clock, early=early
            )
            spans.append(own.transpose(0, 1))
            costs.append(cost)
            diagnostics[f"kept/{n}"] = kept
        logits, value = self.heads(states.transpose(0, 1))
        cost, price = torch.stack(costs).mean(), torch.stack(prices).mean()
        reconstruction = self.embedding.reconstruction_loss(embedded, steps.obs)
        return AgentOutput(
            logits,
            value,
            cost,
            torch.stack(spans),
            diagnostics,
            price,
            reconstruction,
            self.heads.value.scale,
        )

    @torch.no_grad()
    def refresh(self, memory: TransformerMemory) -> TransformerMemory:
        """Compact the memory; recompute its keys, values and spans with the current weights."""
        layers = []
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            gone = ~is_held(slots.remaining(memory.clock), layer.ramp)
            spans = layer.refreshed_spans(slots).masked_fill(gone, FREE)
            compacted = replace(slots, span=spans).compact(memory.clock, layer.ramp)
            normed = layer.attention_norm(compacted.hidden)
            key, value = layer.attention.project_memory(normed)
            # As they lie in memory after a checkpoint too: sums over other strides may round
            # otherwise.
            compacted.key, compacted.value = key.contiguous(), value.contiguous()
            layers.append(compacted)
        return TransformerMemory(layers, memory.clock, memory.seen, [])

    def view(self, memory: TransformerMemory) -> list[LayerView]:
        """Open the memory as it was at the step just acted on."""
        views = []
        now = memory.clock - 1
        for layer, slots, weights in zip(
            self._layers(), memory.layers, memory.attention, strict=True
        ):
            remaining = slots.remaining(now)
            age = now.unsqueeze(1) - slots.written_at
            fade = layer.lifetime.fade(remaining.unsqueeze(1), age.unsqueeze(1))
            views.append(
                LayerView(
                    age=age,
                    span=slots.span,
                    held=is_held(remaining, layer.ramp),
                    mask=fade.exp().amax(1)[:, 0],
                    attention=weights,
                    ramp=layer.ramp,
                    nbytes=slots.nbytes,
                )
            )
        return views

    @torch.no_grad()
    def calibrate_spans(self, steps: TimeStep, memory: TransformerMemory) -> None:
        """Centre what each layer's spans are computed from on the states of `steps [T, B]`."""
        states = self.embedding(steps, memory.seen)[0].transpose(0, 1)
        episode = steps.is_first.long().cumsum(0).transpose(0, 1)
        for layer, slots in zip(self._layers(), memory.layers, strict=True):
            inputs = states
            states, *_ = layer.unroll(inputs, episode, slots, memory.clock, early=0.0)
            layer.lifetime.calibrate(inputs)

    def feature_parameters(self) -> list[nn.Parameter]:
        """The parameters of the embedding and of every layer but the last."""
        before = [self.embedding, *self._layers()[:-1]]
        return [p for module in before for p in module.parameters()]

    def update_value_stats(self, returns: Tensor) -> None:
        """Bring the units of the value up to date with returns `[K]`; values stay as they are."""
        self.heads.value.follow(returns)

    def span_parameters(self) -> list[nn.Parameter]:
        """The parameters that decide lifetimes, which learn apart from the rest."""
        return [p for layer in self._layers() for p in layer.lifetime.parameters()]
