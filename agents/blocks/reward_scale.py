"""Running scale of the rewards, which makes learning independent of their size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

UPDATE_RATE = 0.05
"""Weight of new rewards in the running mean."""


class RewardScale(nn.Module):
    """The running root mean square of the rewards that are not 0.

    Zeros are left out, so that the scale does not depend on how rare rewards are. It is 1 until the
    first reward.

    Attributes:
        rms: `[]` float64, the scale.
    """

    rms: Tensor
    _squares: Tensor
    _count: Tensor

    def __init__(self) -> None:
        """Start without a reward."""
        super().__init__()
        for name, value in (("rms", 1.0), ("_squares", 0.0), ("_count", 0.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    @torch.no_grad()
    def update(self, rewards: Tensor) -> bool:
        """Update the scale from rewards `[K]`; return whether they hold the very first reward."""
        nonzero = rewards[rewards != 0].double()
        if len(nonzero) == 0:
            return False
        first = not bool(self._count)
        self._squares.mul_(1 - UPDATE_RATE).add_(nonzero.square().sum())
        self._count.mul_(1 - UPDATE_RATE).add_(len(nonzero))
        self.rms.copy_((self._squares / self._count).sqrt())
        return first

    def forward(self, rewards: Tensor) -> Tensor:
        """Return `rewards [...]` divided by the scale; 0 before the first reward."""
        return torch.where(self._count > 0, rewards / self.rms.to(rewards), 0.0)
