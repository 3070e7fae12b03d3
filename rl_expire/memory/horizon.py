"""Lifetimes and ages beyond what training could test.

A memory that is still needed at the end of the longest episodes of training has shown no end of its
use: how long it is needed is right-censored. So memories with a longer lifetime than these episodes
are kept for good, while shorter lifetimes, which are known to suffice, stay as they are. What is
needed for good is a small share of all states, so this costs little memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LONGEST = 2.0**23
"""Lifetime of what is kept for good, in steps: up to it, single precision tells steps apart."""
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
    """The age H, in steps, up to which training tests memories; 0 as long as it is not known."""

    tested: Tensor

    def __init__(self) -> None:
        """Create the buffer."""
        super().__init__()
        self.register_buffer("tested", torch.zeros(()))

    def set(self, age: float) -> None:
        """Set H, in steps."""
        self.tested.fill_(age)

    def lifetimes(self, spans: Tensor) -> Tensor:
        """Return the lifetimes of memories, of the same shape as their learned `spans`."""
        beyond = (spans > self.tested) & (self.tested > 0)
        return torch.where(beyond, spans.clamp(min=LONGEST), spans)

    def ages(self, age: Tensor) -> Tensor:
        """Return the ages that attention sees: none is greater than H."""
        longest = torch.where(self.tested > 0, self.tested, torch.inf)
        return age.to(self.tested.dtype).minimum(longest)
