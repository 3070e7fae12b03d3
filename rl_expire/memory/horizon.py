"""Lifetimes and ages beyond what training could test.

A memory that is still needed at the greatest age that occurred in training has shown no end of its
use: how long it is needed is right-censored. So lifetimes beyond that age are stretched, the more
the farther they are beyond it, while lifetimes below it, which are known to suffice, stay as they
are. What is needed for good is a small share of all states, so this costs little memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRETCH = 20.0
"""k: a lifetime of e > H steps becomes e * (e / H) ** k. While lifetimes learn, memories fade ahead
of time, so one needed at age H lasts some 1.4 times H, which becomes about 1000 times H."""
LONGEST = 1e9
"""Longest lifetime, in steps."""
SHORTEST = 1e-3
"""Shortest lifetime, in steps, that typical lifetimes are computed from."""
FOR_GOOD = 1e6
"""Lifetime, in steps, from which pictures and scores say that a memory is kept for good."""


def log_lifetimes(spans: Tensor) -> Tensor:
    """Return the logarithms of lifetimes, for their geometric means; of the same shape as `spans`.

    They differ by orders of magnitude, and some end never.
    """
    return spans.clamp(SHORTEST, FOR_GOOD).log()


class Horizon(nn.Module):
    """The greatest age H of a memory in training, in steps; 0 as long as it is not recorded."""

    tested: Tensor

    def __init__(self) -> None:
        """Create the buffer."""
        super().__init__()
        self.register_buffer("tested", torch.zeros(()))

    @torch.no_grad()
    def record(self, ages: Tensor) -> None:
        """Record that memories have reached `ages`, of any shape."""
        self.tested.clamp_(min=ages.max().to(self.tested))

    def lifetimes(self, spans: Tensor) -> Tensor:
        """Return the lifetimes of memories, of the same shape as their learned `spans`."""
        beyond = (spans > self.tested) & (self.tested > 0)
        ratio = torch.where(beyond, spans / self.tested.clamp(min=1.0), torch.ones_like(spans))
        stretched = spans * ratio.clamp(max=LONGEST ** (1 / STRETCH)).pow(STRETCH)
        return torch.where(beyond, stretched.clamp(max=LONGEST).maximum(spans), spans)

    def ages(self, age: Tensor) -> Tensor:
        """Return the ages that attention sees: none is greater than those seen in training."""
        longest = torch.where(self.tested > 0, self.tested, torch.inf)
        return age.to(self.tested.dtype).minimum(longest)
