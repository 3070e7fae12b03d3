"""Value head whose scale adapts to the returns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rl_expire.learning.moments import merged

UPDATE_RATE = 0.05
"""Weight of new returns in the running mean and variance, after the first 1 / rate updates."""


class ValueHead(nn.Linear):
    """Value `[...]` of states `[..., D]`: a linear function, times `scale`, plus `mean`.

    A linear function takes long to reach returns in the hundreds, and its errors would drown all
    other losses. PopArt (van Hasselt et al. 2016, section 2) keeps the output of the linear
    function within a few units for any rewards, while the values stay on the scale of the rewards.
    Before `update_stats` this is an ordinary linear layer.

    Attributes:
        mean: `[]`, running mean of the returns.
        scale: `[]`, their running standard deviation, at least the scale of the rewards: smaller
            deviations are only noise, such as before the first reward.
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
    def multiply(self, factor: Tensor) -> None:
        """Multiply all values by `factor []`."""
        self.mean.mul_(factor)
        self.scale.mul_(factor)
        self._variance.mul_(factor.square())

    @torch.no_grad()
    def update_stats(self, returns: Tensor, min_scale: Tensor) -> None:
        """Update mean and scale from returns, and rescale the weights so that no value changes.

        Until `1 / UPDATE_RATE` updates, all batches of returns count equally.

        Args:
            returns: `[K]`, K >= 1.
            min_scale: `[]`, lower bound of the scale.
        """
        self._followed += 1
        rate = (1 / self._followed).clamp(min=UPDATE_RATE)
        new = returns.mean(), returns.var(correction=0)
        mean, variance = merged(self.mean, self._variance, *new, rate)
        self._variance.copy_(variance)
        scale = self._variance.sqrt().clamp(min=min_scale.to(self.scale))
        self.bias.mul_(self.scale).add_(self.mean - mean).div_(scale)
        self.weight.mul_(self.scale / scale)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
