"""Encoder of numeric vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.encoders.base import Encoder, in_parts
from agents.encoders.scale import NumberScale
from rl_expire.types import Obs

MOST_TARGETS = 1024
"""Longest vector that is reconstructed number by number."""
SUMS = 512
"""Number of sums that are reconstructed of a longer vector."""


class VectorEncoder(Encoder):
    """Encode boxes of numbers, flattened to a vector and scaled by what was seen while training.

    Of a vector longer than `MOST_TARGETS`, random sums are reconstructed instead of each number:
    every number is added to one of `SUMS` sums, with a random sign (feature hashing, Weinberger et
    al. 2009). They tell different vectors apart, and cost the same for any length.

    Args:
        inputs: number of values in one observation.
        dims: number of axes of one observation.
        width: D.
    """

    sum_of: Tensor
    sign: Tensor

    def __init__(self, inputs: int, dims: int, width: int):
        """Create the weights."""
        super().__init__()
        self.inputs, self.dims = inputs, dims
        self.target_size = inputs if inputs <= MOST_TARGETS else SUMS
        self.scale = NumberScale(inputs)
        self.net = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width))
        if self.target_size < inputs:
            draw = torch.Generator().manual_seed(0)
            sum_of = torch.randint(SUMS, (inputs,), generator=draw)
            sign = torch.randint(2, (inputs,), generator=draw) * 2.0 - 1.0
            self.register_buffer("sum_of", sum_of, persistent=False)
            self.register_buffer("sign", sign * (SUMS / inputs) ** 0.5, persistent=False)

    def describe(self) -> str:
        """Return the number of values."""
        return f"a vector of {self.inputs:,} numbers" if self.inputs != 1 else "one number"

    def forward(self, obs: Obs) -> Tensor:
        """Encode numbers `[..., *shape]`."""
        assert isinstance(obs, Tensor)
        leading = obs.shape[: obs.dim() - self.dims]
        first, *others = self.net
        code = torch.cat([first(self.scale(part)) for part in in_parts(self._flat(obs))])
        for layer in others:
            code = layer(code)
        return code.view(*leading, code.shape[-1])

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean squared error of the scaled numbers, or of their sums."""
        target = torch.cat([self._target(part) for part in in_parts(self._flat(obs))])
        return (prediction.reshape(target.shape) - target).pow(2).mean()

    def update_stats(self, obs: Obs, valid: Tensor) -> None:
        """Measure the numbers."""
        self.scale.update(self._flat(obs)[valid.flatten()])

    def _target(self, flat: Tensor) -> Tensor:
        """Return what is reconstructed of vectors `[N, inputs]`, `[N, target_size]`."""
        values = self.scale(flat)
        if self.target_size == self.inputs:
            return values
        sums = values.new_zeros(len(values), self.target_size)
        return sums.index_add_(-1, self.sum_of, values * self.sign)

    def _flat(self, obs: Obs) -> Tensor:
        """Return observations as vectors, `[N, inputs]`."""
        assert isinstance(obs, Tensor)
        return obs.reshape(-1, self.inputs)
