"""Compressive Transformer: states that leave the window are averaged in groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agents.transformer import MemoryTransformer, TransformerConfig
from rl_expire.memory.expire_span import is_held
from rl_expire.memory.layer import LayerOutput, MemoryLayer
from rl_expire.memory.lifetime import FixedWindow
from rl_expire.memory.segment import Segment
from rl_expire.memory.slot_memory import FREE, SlotMemory
from rl_expire.validate import check_range


@dataclass(frozen=True)
class CompressiveConfig(TransformerConfig):
    """Compressive Transformer: states that leave the window are averaged in groups."""

    window: int = 32
    """M, number of past states that each layer sees one by one, besides the current one."""
    rate: int = 4
    """c, number of states that are averaged into one."""
    compressed: int = 32
    """Number of averages that each layer holds; it sees M + c * compressed steps back."""

    name: ClassVar[str] = "compressive"
    size_option: ClassVar[str | None] = "window"

    @property
    def capacity(self) -> int:
        """Memories of a layer: the window, the current state, an incomplete group, the averages."""
        return self.window + 1 + self.rate + self.compressed

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_range(self, "rate", "compressed", least=1)
        check_range(self, "window", least=0)


class CompressiveLayer(MemoryLayer):
    """A layer whose states are averaged in groups of `rate` when they leave the window.

    Groups are the steps 0 to c - 1 of an episode, c to 2c - 1, and so on. A group is seen state by
    state until its newest state leaves the window; then one memory, its mean, takes that state's
    place.
    """

    def __init__(self, config: CompressiveConfig, capacity: int):
        """Create the weights; the window is the lifetime of single states."""
        lifetime = FixedWindow(config.window)
        super().__init__(config.width, config.heads, lifetime, capacity, config.feed_forward)
        self.window, self.rate = config.window, config.rate
        self.reach = config.window + config.rate * config.compressed

    def newest(self, written_at: Tensor) -> Tensor:
        """Return the last step of the group that each step belongs to."""
        return written_at + self.rate - 1 - written_at % self.rate

    def spans_at(self, states: Tensor, time: Tensor) -> Tensor:
        """Return the steps until each state's group is averaged, one more than it is seen for."""
        return (self.newest(time) + self.window + 1 - time).to(states.dtype)

    def refreshed_spans(self, slots: SlotMemory) -> Tensor:
        """Return the lifetimes unchanged: they do not depend on weights."""
        return slots.span

    def act(self, state: Tensor, slots: SlotMemory, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Average the group that leaves the window, then do what any layer does."""
        self.compress(slots, clock)
        return super().act(state, slots, clock)

    def compress(self, slots: SlotMemory, clock: Tensor) -> None:
        """Replace the group that leaves the window at `clock [B]` by its mean.

        The mean goes to the slot of the group's newest state; the other slots become free.
        """
        leaving = clock - self.window - 1
        due = (leaving >= 0) & (self.newest(leaving) == leaving)
        if not torch.compiler.is_exporting() and not due.any():
            return
        group = is_held(slots.remaining(clock), self.ramp) & due.unsqueeze(1)
        group &= self.newest(slots.written_at) == leaving.unsqueeze(1)
        mean = (slots.hidden * group.unsqueeze(-1)).sum(1, keepdim=True) / self.rate
        key, value = self.attention.project_memory(self.attention_norm(mean))
        place = group & (slots.written_at == leaving.unsqueeze(1))
        at = place.unsqueeze(-1)
        slots.hidden = torch.where(at, mean, slots.hidden)
        slots.key = torch.where(at.unsqueeze(1), key, slots.key)
        slots.value = torch.where(at.unsqueeze(1), value, slots.value)
        slots.span = slots.span.masked_fill(group, FREE).masked_fill(place, self.reach)

    def unroll(
        self, states: Tensor, slots: SlotMemory, segment: Segment, *, early: float
    ) -> LayerOutput:
        """Process a whole segment at once, with the same result as calling `act` step by step."""
        old = slots.num_slots
        age, visible = segment.reach(slots, self.ramp)
        time = torch.cat([slots.written_at, segment.times()], dim=1)
        newest = self.newest(time)
        averaged = torch.zeros_like(time, dtype=torch.bool)
        averaged[:, :old] = segment.clock.unsqueeze(1) - newest[:, :old] > self.window + 1
        seen_for = torch.where(averaged, self.reach, self.window + newest - time)
        seen = visible & (age <= seen_for.unsqueeze(1))
        # Every group that is complete adds one more memory, in the place of its newest state.
        single = ~averaged
        single[:, :old] &= is_held(slots.remaining(segment.clock), self.ramp)
        memory = torch.cat([slots.hidden, states], dim=1)
        in_episode = torch.cat([torch.zeros_like(slots.written_at), segment.episode], dim=1)
        last = single & (newest == time)
        means, place = self._means(memory, torch.stack([newest, in_episode], -1), single, last)
        mean_age, mean_visible = (_pick(x, place) for x in (age, visible & last.unsqueeze(1)))
        left = (mean_age > self.window) & (mean_age <= self.reach)
        age = torch.cat([age, mean_age], dim=2)
        seen = torch.cat([seen, mean_visible & left], dim=2)
        normed = self.attention_norm(torch.cat([memory, means], dim=1))
        key, value = self.attention.project_memory(normed)
        query = self.attention.project_query(normed[:, old : memory.shape[1]])
        bias = torch.zeros_like(age, dtype=memory.dtype).masked_fill(~seen, -torch.inf)
        mixed, _ = self.attention(query, key, value, age, bias.unsqueeze(1))
        states = states + mixed
        spans = self.spans_at(states, time[:, old:])
        held = seen.sum(-1).float().mean()
        return LayerOutput(states + self.feed_forward(states), spans, spans.new_zeros(()), held)

    @torch.no_grad()
    def remember(
        self, slots: SlotMemory, states: Tensor, segment: Segment, output: LayerOutput
    ) -> SlotMemory:
        """Return the memory after a segment; see `MemoryLayer.remember`."""
        times, last = segment.times(), segment.episode[:, -1:]
        own = self.spans_at(states, times).masked_fill(segment.episode != last, FREE)
        memory = self.refreshed(
            SlotMemory(
                hidden=torch.cat([slots.hidden, states], dim=1),
                key=slots.key,
                value=slots.value,
                written_at=torch.cat([slots.written_at, times], dim=1),
                span=torch.cat([slots.span.masked_fill(last > 0, FREE), own], dim=1),
            )
        )
        clock = times[:, -1]
        for ago in reversed(range(states.shape[1])):
            self.compress(memory, clock - ago)
        return memory.compact(clock + 1, self.ramp)

    def _means(
        self, memory: Tensor, group: Tensor, single: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Average every group whose newest state is present.

        Args:
            memory: `[B, K, D]`.
            group: `[B, K, 2]`, identifies the group that each state belongs to.
            single: `[B, K]` bool, states that are not averages themselves.
            last: `[B, K]` bool, states that are the newest of their group.

        Returns:
            The means `[B, G, D]`, and the index `[B, G]` of each group's newest state. Rows with
            fewer groups than others are padded with states that are not the newest of any group.
        """
        groups = int(last.sum(1).max())
        place = torch.argsort((~last).to(torch.uint8), dim=1, stable=True)[:, :groups]
        chosen = group.gather(1, place.unsqueeze(-1).expand(-1, -1, 2))
        member = (chosen.unsqueeze(2) == group.unsqueeze(1)).all(-1) & single.unsqueeze(1)
        return member.to(memory.dtype) @ memory / self.rate, place


def _pick(values: Tensor, place: Tensor) -> Tensor:
    """Return `[B, T, G]`, the values `[B, T, K]` at the indices `place [B, G]`."""
    return values.gather(2, place.unsqueeze(1).expand(-1, values.shape[1], -1))


class CompressiveTransformer(MemoryTransformer[CompressiveConfig]):
    """A window and a second memory of averages (Rae et al. 2020, section 3, mean pooling)."""

    def make_layer(self) -> CompressiveLayer:
        """Return a new layer."""
        return CompressiveLayer(self.config, self.capacity)

    def make_lifetime(self) -> FixedWindow:
        """Return a window of length M."""
        return FixedWindow(self.config.window)

    @property
    def capacity(self) -> int:
        """Maximum number of memories that a layer holds for one environment."""
        return self.config.capacity
