"""Encoder of images."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.encoders.base import Encoder
from rl_expire.types import Obs

MIN_SIDE = 8
"""Convolutions are stacked until the longer side of the feature map is at most this long."""
TARGET_SIDE = 16
"""Side of the downscaled image that is reconstructed."""
MAX_CHANNELS = 16
"""The longest axis that is taken for the channels of an image."""


def channel_axis(space: spaces.Box) -> int | None:
    """Return the channel axis of an image space, -1 or 0; None if `space` holds no images.

    Images are uint8 `[H, W, C]`, or `[C, H, W]` such as stacked greyscale frames.
    """
    if space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    if space.shape[-1] <= MAX_CHANNELS:
        return -1
    return 0 if space.shape[0] <= MAX_CHANNELS else None


class PixelEncoder(Encoder):
    """Encode images by strided convolutions.

    Args:
        space: image space.
        axis: its channel axis, -1 or 0.
        width: D.
    """

    def __init__(self, space: spaces.Box, axis: int, width: int):
        """Create as many convolutions as the image size requires."""
        super().__init__()
        self.axis = axis
        channels = space.shape[axis]
        sides = space.shape[:-1] if axis == -1 else space.shape[1:]
        layers: list[nn.Module] = []
        while max(sides) > MIN_SIDE or not layers:
            more = 16 if not layers else 32
            layers += [nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.ReLU()]
            channels, sides = more, tuple((side + 1) // 2 for side in sides)
        self.net = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels * math.prod(sides), width), nn.ReLU()
        )
        for layer in self.net:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                # PyTorch's default initialisation loses contrast at every layer, down to nothing.
                nn.init.orthogonal_(layer.weight, math.sqrt(2))
        self.out = nn.Linear(width, width)
        self.target_size = space.shape[axis] * TARGET_SIDE**2

    def forward(self, obs: Obs) -> Tensor:
        """Encode uint8 `[..., H, W, C]`, or `[..., C, H, W]`."""
        assert isinstance(obs, Tensor)
        return self.out(self.net(self._images(obs))).view(*obs.shape[:-3], -1)

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean squared error of the brightness, downscaled to `TARGET_SIDE` a side."""
        assert isinstance(obs, Tensor)
        target = nn.functional.adaptive_avg_pool2d(self._images(obs), TARGET_SIDE)
        return (prediction.reshape(target.shape) - target).pow(2).mean()

    def _images(self, obs: Tensor) -> Tensor:
        """Return the brightness in [0, 1], `[N, C, H, W]`."""
        images = obs.flatten(0, -4) if obs.dim() > 3 else obs.unsqueeze(0)
        if self.axis == -1:
            images = images.permute(0, 3, 1, 2)
        return images.to(torch.float32) / 255
