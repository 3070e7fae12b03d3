"""Encoder of numeric vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.encoders.base import Encoder
from rl_expire.types import Obs


class VectorEncoder(Encoder):
    """Encode boxes of numbers, flattened to a vector and compressed by a signed logarithm.

    Args:
        inputs: number of values in one observation.
        dims: number of axes of one observation.
        width: D.
    """

    def __init__(self, inputs: int, dims: int, width: int):
        """Create the weights."""
        super().__init__()
        self.dims = dims
        self.target_size = inputs
        self.net = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, obs: Obs) -> Tensor:
        """Encode numbers `[..., *shape]`."""
        return self.net(self._symlog(obs))

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean squared error of the compressed numbers."""
        return (prediction - self._symlog(obs)).pow(2).mean()

    def _symlog(self, obs: Obs) -> Tensor:
        """Return sign(x) * log(1 + |x|) of the flattened observations, `[..., inputs]`."""
        assert isinstance(obs, Tensor)
        flat = obs.to(torch.float32)
        flat = flat.flatten(-self.dims) if self.dims else flat.unsqueeze(-1)
        return torch.sign(flat) * torch.log1p(flat.abs())
