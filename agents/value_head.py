"""The value of a state, in units that follow the returns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FOLLOWED = 0.05
"""Share of the new returns in the running mean and deviation."""
LEAST_SCALE = 1.0
"""Returns that vary less are not blown up: where there is no reward yet they are noise."""


class ValueHead(nn.Linear):
    """Value `[...]` of states `[..., D]`: a linear function, times `scale`, plus `mean`.

    Returns in the hundreds would take a linear function long to reach, and its errors would drown
    all else that is learned. PopArt (van Hasselt et al. 2016, section 2) keeps the linear function
    within a few units, whatever the rewards are; values are those of the rewards as they are.
    Without `follow` this is an ordinary linear function.

    Attributes:
        mean: `[]`, running mean of the returns.
        scale: `[]`, their running standard deviation, and at least `LEAST_SCALE`.
    """

    mean: Tensor
    scale: Tensor
    _variance: Tensor
    _followed: Tensor

    def __init__(self, width: int):
        super().__init__(width, 1)
        nn.init.orthogonal_(self.weight, gain=1.0)
        nn.init.zeros_(self.bias)
        for name, value in (("mean", 0.0), ("scale", 1.0), ("_variance", 0.0), ("_followed", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, input: Tensor) -> Tensor:
        """Return the value `[...]` of states `[..., D]`."""
        return (self.mean + self.scale * super().forward(input)).squeeze(-1)

    @torch.no_grad()
    def follow(self, returns: Tensor) -> None:
        """Take in returns `[K]`, K at least 1; the values stay what they are."""
        self._followed += 1
        share = (1 / self._followed).clamp(min=FOLLOWED)
        moved = returns.mean() - self.mean
        mean = self.mean + share * moved
        inside = torch.lerp(self._variance, returns.var(correction=0), share)
        self._variance.copy_(inside + share * (1 - share) * moved.square())
        scale = self._variance.sqrt().clamp(min=LEAST_SCALE)
        self.bias.mul_(self.scale).add_(self.mean - mean).div_(scale)
        self.weight.mul_(self.scale / scale)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
