"""Pictures: convolutions that halve the side until little is left."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.encoder import Encoder
from rl_expire.types import Obs

SMALLEST = 8
"""The side, in places, at which a picture has been shrunk enough."""
READ_SIDE = 16
"""The side of the smaller picture that is read back."""
MOST_CHANNELS = 16
"""The longest axis that can be the colours or frames of a picture."""


def channel_axis(space: spaces.Box) -> int | None:
    """Return which axis holds the channels of pixels, -1 or 0; None where `space` has no pixels.

    Pixels are uint8 `[H, W, C]`, or `[C, H, W]` as stacked grey frames come.
    """
    if space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    if space.shape[-1] <= MOST_CHANNELS:
        return -1
    return 0 if space.shape[0] <= MOST_CHANNELS else None


class PixelEncoder(Encoder):
    """Pixels as brightness in [0, 1], through strided convolutions."""

    def __init__(self, space: spaces.Box, axis: int, width: int):
        super().__init__()
        self.axis = axis
        channels = space.shape[axis]
        sides = space.shape[:-1] if axis == -1 else space.shape[1:]
        layers: list[nn.Module] = []
        while max(sides) > SMALLEST or not layers:
            more = 16 if not layers else 32
            layers += [nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.ReLU()]
            channels, sides = more, tuple((side + 1) // 2 for side in sides)
        self.net = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels * math.prod(sides), width), nn.ReLU()
        )
        for layer in self.net:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                # Torch's own start shrinks contrast at every layer, down to nothing at the end.
                nn.init.orthogonal_(layer.weight, math.sqrt(2))
        self.out = nn.Linear(width, width)
        self.outputs = space.shape[axis] * READ_SIDE**2

    def forward(self, obs: Obs) -> Tensor:
        """Encode uint8 `[..., H, W, C]`, or `[..., C, H, W]`."""
        assert isinstance(obs, Tensor)
        return self.out(self.net(self._pictures(obs))).view(*obs.shape[:-3], -1)

    def reconstruction_loss(self, read: Tensor, obs: Obs) -> Tensor:
        """Squared error of brightness, the picture shrunk to `READ_SIDE` places a side."""
        assert isinstance(obs, Tensor)
        small = nn.functional.adaptive_avg_pool2d(self._pictures(obs), READ_SIDE)
        return (read.reshape(small.shape) - small).pow(2).mean()

    def _pictures(self, obs: Tensor) -> Tensor:
        """Return brightness in [0, 1], `[N, C, H, W]`."""
        pictures = obs.flatten(0, -4) if obs.dim() > 3 else obs.unsqueeze(0)
        if self.axis == -1:
            pictures = pictures.permute(0, 3, 1, 2)
        return pictures.to(torch.float32) / 255
