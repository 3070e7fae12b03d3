"""Compressive Transformer: what leaves the window is averaged, several states into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agents.blocks import at_least
from agents.transformer import MemoryLayer, MemoryTransformer, TransformerConfig
from rl_expire.memory.expire_span import is_held
from rl_expire.memory.lifetime import FixedWindow
from rl_expire.memory.slot_memory import FREE, SlotMemory


@dataclass(frozen=True)
class CompressiveConfig(TransformerConfig):
    """The Compressive Transformer."""

    window: int = 32
    """M, the past states that each layer sees one by one, besides the present one."""
    rate: int = 4
    """c, the states that are averaged into one."""
    compressed: int = 32
    """The averages that each layer holds; it sees M + c * compressed steps back."""

    name: ClassVar[str] = "compressive"
    size_option: ClassVar[str | None] = "window"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "rate", "compressed")
        at_least(0, self, "window")


class CompressiveLayer(MemoryLayer):
    """A layer whose states, when they leave the window, are averaged in groups of `rate`.

    Groups are the steps 0 to c - 1 of an episode, c to 2c - 1, and so on. A group is seen state by
    state until its newest is older than the window, then as one memory in that one's place.
    """

    def __init__(self, config: CompressiveConfig, capacity: int):
        super().__init__(config, FixedWindow(config.window), capacity)
        self.window, self.rate = config.window, config.rate
        self.reach = config.window + config.rate * config.compressed

    def newest(self, written_at: Tensor) -> Tensor:
        """Return the last step of the group of each step."""
        return written_at + self.rate - 1 - written_at % self.rate

    def spans_at(self, states: Tensor, time: Tensor) -> Tensor:
        """A state is there until its group is averaged: one step longer than it is seen."""
        return (self.newest(time) + self.window + 1 - time).to(states.dtype)

    def refreshed_spans(self, slots: SlotMemory) -> Tensor:
        """Lifetimes do not depend on weights."""
        return slots.span

    def act(self, state: Tensor, slots: SlotMemory, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Average what has left the window, then store, attend, and go on."""
        self.compress(slots, clock)
        return super().act(state, slots, clock)

    def compress(self, slots: SlotMemory, clock: Tensor) -> None:
        """Put the mean of the group that leaves the window at `clock [B]` in its newest's place."""
        leaving = clock - self.window - 1
        due = (leaving >= 0) & (self.newest(leaving) == leaving)
        if not due.any():
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
        self,
        states: Tensor,
        episode: Tensor,
        slots: SlotMemory,
        clock: Tensor,
        *,
        early: float | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do for `states [B, T, D]` at once what `act` does one by one."""
        age, visible = self._reach(episode, slots, clock)
        time = torch.cat([slots.written_at, clock_of_steps(episode, clock)], dim=1)
        newest = self.newest(time)
        averaged = torch.zeros_like(time, dtype=torch.bool)
        averaged[:, : slots.slots] = clock.unsqueeze(1) - newest[:, : slots.slots] > self.window + 1
        seen_for = torch.where(averaged, self.reach, self.window + newest - time)
        seen = visible & (age <= seen_for.unsqueeze(1))
        # Every group that becomes whole is one more memory, in its newest's place.
        single = ~averaged
        single[:, : slots.slots] &= is_held(slots.remaining(clock), self.ramp)
        memory = torch.cat([slots.hidden, states], dim=1)
        in_episode = torch.cat([torch.zeros_like(slots.written_at), episode], dim=1)
        last = single & (newest == time)
        means, place = self._means(memory, torch.stack([newest, in_episode], -1), single, last)
        mean_age, mean_visible = (_pick(x, place) for x in (age, visible & last.unsqueeze(1)))
        left = (mean_age > self.window) & (mean_age <= self.reach)
        age = torch.cat([age, mean_age], dim=2)
        seen = torch.cat([seen, mean_visible & left], dim=2)
        normed = self.attention_norm(torch.cat([memory, means], dim=1))
        key, value = self.attention.project_memory(normed)
        query = self.attention.project_query(normed[:, slots.slots : memory.shape[1]])
        bias = torch.zeros_like(age, dtype=memory.dtype).masked_fill(~seen, -torch.inf)
        mixed, _ = self.attention(query, key, value, age, bias.unsqueeze(1))
        states = states + mixed
        own = self.spans_at(states, time[:, slots.slots :])
        kept = seen.sum(-1).float().mean()
        return states + self.feed_forward(states), own, own.new_zeros(()), kept

    def _means(
        self, memory: Tensor, group: Tensor, single: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Average every group whose newest state is there.

        Args:
            memory: `[B, K, D]`.
            group: `[B, K, 2]`, what tells the group of each from all others.
            single: `[B, K]` bool, states that are no averages themselves.
            last: `[B, K]` bool, those that are the newest of their group.

        Returns:
            The means `[B, G, D]` and the index `[B, G]` of each one's newest state; rows with fewer
            groups than others are filled up with states that are not the newest of any.
        """
        groups = int(last.sum(1).max())
        place = torch.argsort((~last).to(torch.uint8), dim=1, stable=True)[:, :groups]
        chosen = group.gather(1, place.unsqueeze(-1).expand(-1, -1, 2))
        member = (chosen.unsqueeze(2) == group.unsqueeze(1)).all(-1) & single.unsqueeze(1)
        return member.to(memory.dtype) @ memory / self.rate, place


def _pick(values: Tensor, place: Tensor) -> Tensor:
    """Return of `values [B, T, K]` those at `place [B, G]`: `[B, T, G]`."""
    return values.gather(2, place.unsqueeze(1).expand(-1, values.shape[1], -1))


def clock_of_steps(episode: Tensor, clock: Tensor) -> Tensor:
    """Return the time `[B, T]` on each row's clock, which counts from its episode's start.

    Args:
        episode: `[B, T]` int, the number of episode starts so far in the segment.
        clock: `[B]`, the time of the segment's first step, were it of the old episode.
    """
    steps = torch.arange(episode.shape[1], device=episode.device).expand_as(episode)
    starts = episode.diff(dim=1, prepend=torch.zeros_like(episode[:, :1])) > 0
    began = torch.where(starts, steps, 0).cummax(1).values
    return steps - began + clock.unsqueeze(1) * (episode == 0)


class CompressiveTransformer(MemoryTransformer[CompressiveConfig]):
    """A window, and a second memory of averages (Rae et al. 2020, section 3, mean pooling)."""

    def make_layer(self) -> CompressiveLayer:
        """Return one layer."""
        return CompressiveLayer(self.config, self.capacity)

    def make_lifetime(self) -> FixedWindow:
        """The window."""
        return FixedWindow(self.config.window)

    @property
    def capacity(self) -> int:
        """The window, the present, a group not yet whole, and the averages."""
        return self.config.window + 1 + self.config.rate + self.config.compressed
