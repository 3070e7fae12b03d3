"""Time in a segment of a rollout, in which episodes may start anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rl_expire.memory.expire_span import is_held
from rl_expire.memory.slot_memory import SlotMemory


@dataclass(frozen=True)
class Segment:
    """When the T steps of a segment take place.

    Attributes:
        episode: `[B, T]` int64, number of episode starts in the segment up to each step; 0 for
            steps of the episode that was running before the segment.
        clock: `[B]` int64, time of the segment's first step, counted from the start of the episode
            that was running before it.
    """

    episode: Tensor
    clock: Tensor

    @staticmethod
    def of(is_first: Tensor, clock: Tensor) -> Segment:
        """Return the segment with episode starts `is_first [T, B]`, beginning at `clock [B]`."""
        return Segment(is_first.long().cumsum(0).transpose(0, 1), clock)

    def times(self) -> Tensor:
        """Return the time `[B, T]` of each step, counted from the start of its episode."""
        episode = self.episode
        steps = torch.arange(episode.shape[1], device=episode.device).expand_as(episode)
        starts = episode.diff(dim=1, prepend=torch.zeros_like(episode[:, :1])) > 0
        latest_start = torch.where(starts, steps, 0).cummax(1).values
        return steps - latest_start + self.clock.unsqueeze(1) * (episode == 0)

    def reach(
        self, slots: SlotMemory, ramp: float, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Return age and visibility of all memories at each step.

        A memory is visible if it is from the same episode, not from the future, and had not expired
        before the segment.

        Args:
            slots: the S memories from before the segment.
            ramp: R, in steps.
            part: P of the T steps; by default all.

        Returns:
            `age`, in steps, and `visible`, `[B, P, S + T]`; the segment's own states follow the
            slots.
        """
        episode, asking = self.episode, self.episode[:, part]
        steps = torch.arange(episode.shape[1], device=episode.device)
        now = self.clock.unsqueeze(1) + steps[part]
        old_age = now.unsqueeze(2) - slots.written_at.unsqueeze(1)
        own_age = (steps[part].unsqueeze(1) - steps).expand(len(episode), -1, -1)
        held = is_held(slots.remaining(self.clock), ramp)
        old_visible = held.unsqueeze(1) & (asking == 0).unsqueeze(2)
        own_visible = (own_age >= 0) & (asking.unsqueeze(2) == episode.unsqueeze(1))
        age = torch.cat([old_age, own_age], dim=2).to(slots.span.dtype)
        return age, torch.cat([old_visible, own_visible], dim=2)


@torch.no_grad()
def replay_evictions(
    remaining: Tensor, visible: Tensor, evicted: Tensor, first: int, ramp: float, capacity: int
) -> Tensor:
    """Replay which memories are evicted over some steps because a row is full.

    Args:
        remaining: `[B, P, K]`, in steps.
        visible: `[B, P, K]` bool, see `Segment.reach`.
        evicted: `[B, K]` bool, memories that were evicted before; updated in place.
        first: index of the memory that the first of the P steps writes; the others follow it.
        ramp: R, in steps.
        capacity: maximum number of memories held at once.

    Returns:
        `[B, P, K]` bool, whether a memory was evicted at that step or before.
    """
    history = []
    for t in range(remaining.shape[1]):
        held = visible[:, t] & is_held(remaining[:, t], ramp) & ~evicted
        held[:, first + t] = False
        full = held.sum(1) >= capacity
        least = remaining[:, t].masked_fill(~held, torch.inf).argmin(1)
        evicted[full, least[full]] = True
        history.append(evicted.clone())
    return torch.stack(history, dim=1)
