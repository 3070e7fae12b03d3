"""Running scale of observed numbers, which makes learning independent of their units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rl_expire.learning import ranks
from rl_expire.learning.moments import merged

CLIP = 10.0
"""Largest distance from the mean, in standard deviations."""
LEAST_SHARE = 1e-12
"""Smallest standard deviation, as a share of the mean: less is rounding."""
LEAST = 1e-8
"""Smallest standard deviation."""
LARGEST = 1e100
"""Larger numbers are cut off: their squares would be infinite."""
MOST_MEASURED = 2**21
"""Most numbers of a rollout that are measured: of more, every k-th observation is."""
NEVER = -1.0
"""Count of a scale that is not used and never will be."""


class NumberScale(nn.Module):
    """Running mean and standard deviation of each of N numbers, over all that was learned from.

    Each number becomes its distance from its mean in standard deviations, at most `CLIP`. Before
    the first `update` it is compressed by a signed logarithm instead, which stays tame whatever its
    unit; so it always is where `count` is `NEVER`, in agents of earlier versions.

    Args:
        inputs: N.

    Attributes:
        mean: `[N]` float64.
        variance: `[N]` float64.
        count: `[]` float64, number of observations measured.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, inputs: int):
        """Start without an observation."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs, dtype=torch.float64))
        self.register_buffer("variance", torch.zeros(inputs, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, numbers: Tensor) -> None:
        """Measure numbers `[K, N]` of this rank, and those of all others; all have to call this."""
        rows = max(1, MOST_MEASURED // numbers.shape[1])
        numbers = _doubles(numbers[:: max(1, math.ceil(len(numbers) / rows))])
        own = None
        if len(numbers):
            own = len(numbers), numbers.mean(0).cpu(), numbers.var(0, correction=0).cpu()
        for moments in ranks.gather(own):
            if moments is None or self.count < 0:
                continue
            count, mean, variance = moments
            self.count += count
            new = mean.to(self.mean), variance.to(self.mean)
            both = merged(self.mean, self.variance, *new, count / self.count)
            for buffer, value in zip((self.mean, self.variance), both, strict=True):
                buffer.copy_(value)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return numbers `[..., N]` of any type in their scale, float32."""
        least = (LEAST_SHARE * self.mean.abs()).clamp(min=LEAST)
        distance = (_doubles(numbers) - self.mean) / self.variance.sqrt().maximum(least)
        scaled = distance.clamp(-CLIP, CLIP).to(torch.float32)
        return torch.where(self.count > 0, scaled, symlog(numbers))


def symlog(numbers: Tensor) -> Tensor:
    """Return sign(x) * log(1 + |x|) as float32."""
    floats = numbers.to(torch.float32)
    return floats.abs().log1p_().mul_(floats.sign())


def _doubles(numbers: Tensor) -> Tensor:
    """Return numbers in double precision: large integers and small differences are exact."""
    return numbers.to(torch.float64).clamp(-LARGEST, LARGEST)
