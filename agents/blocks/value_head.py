"""Value head whose scale adapts to the returns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

UPDATE_RATE = 0.05
"""Weight of new returns in the running mean and variance, after the first 1 / rate updates."""
MIN_SCALE = 1.0
"""Smaller deviations are not scaled up: where there is no reward yet, they are only noise."""


class ValueHead(nn.Linear):
    """Value `[...]` of states `[..., D]`: a linear function, times `scale`, plus `mean`.

    A linear function takes long to reach returns in the hundreds, and its errors would drown all
    other losses. PopArt (van Hasselt et al. 2016, section 2) keeps the output of the linear
    function within a few units for any rewards, while the values stay on the scale of the rewards.
    Without `update_stats` this is an ordinary linear layer.

    Attributes:
        mean: `[]`, running mean of the returns.
        scale: `[]`, their running standard deviation, at least `MIN_SCALE`.
    """

    mean: Tensor
    scale: Tensor
    _variance: Tensor
    _followed: Tensor

    def __init__(self, width: int):
        """Create the weights for states of width D = `width`."""
        super().__init__(width, 1)
        nn.init.orthogonal_(self.weight, gain=1.0)
        nn.init.zeros_(self.bias)
        for name, value in (("mean", 0.0), ("scale", 1.0), ("_variance", 0.0), ("_followed", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, input: Tensor) -> Tensor:
        """Return the value `[...]` of states `[..., D]`."""
        return (self.mean + self.scale * super().forward(input)).squeeze(-1)

    @torch.no_grad()
    def update_stats(self, returns: Tensor) -> None:
        """Update mean and scale from returns `[K]`, K >= 1, and rescale weights to keep all values.

        Until `1 / UPDATE_RATE` updates, all batches of returns count equally.
        """
        self._followed += 1
        rate = (1 / self._followed).clamp(min=UPDATE_RATE)
        shift = returns.mean() - self.mean
        mean = self.mean + rate * shift
        within = torch.lerp(self._variance, returns.var(correction=0), rate)
        self._variance.copy_(within + rate * (1 - rate) * shift.square())
        scale = self._variance.sqrt().clamp(min=MIN_SCALE)
        self.bias.mul_(self.scale).add_(self.mean - mean).div_(scale)
        self.weight.mul_(self.scale / scale)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
