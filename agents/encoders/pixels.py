"""Encoder of images."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.encoders.base import Encoder, in_parts
from rl_expire.types import Obs

MIN_SIDE = 8
"""Convolutions are stacked until the longer side of the feature map is at most this long."""
LARGE_SIDE = 64
"""Images with a side this long or longer are first divided into patches."""
PATCH = 4
"""Side of a patch, in pixels."""
TARGET_SIDE = 16
"""Side of the downscaled image that is reconstructed."""
CHANNELS = (1, 3, 4)
"""Channels of a single image: grey, RGB, and RGB with transparency or four grey frames."""
MAX_CHANNELS = 16
"""The longest axis that is taken for the channels of an image."""


def channel_axis(space: spaces.Box) -> int | None:
    """Return the channel axis of an image space, -1 or 0; None if `space` holds no images.

    Images are uint8 `[H, W, C]` or `[C, H, W]`. Where both ends of the shape could be channels, an
    axis of 1, 3 or 4 is taken, else one beside a square, else the last.
    """
    if space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    first, middle, last = space.shape
    if (last in CHANNELS) != (first in CHANNELS):
        return -1 if last in CHANNELS else 0
    if (first == middle) != (middle == last):
        axis = -1 if first == middle else 0
        return axis if space.shape[axis] <= MAX_CHANNELS else None
    if last <= MAX_CHANNELS:
        return -1
    return 0 if first <= MAX_CHANNELS else None


class PixelEncoder(Encoder):
    """Encode images by strided convolutions.

    Large images are first divided into patches, by a convolution whose stride is as long as its
    kernel: small kernels at full resolution would take most of the time of training.

    Args:
        space: image space.
        axis: its channel axis, -1 or 0.
        width: D.
    """

    row_means: Tensor
    column_means: Tensor

    def __init__(self, space: spaces.Box, axis: int, width: int):
        """Create as many convolutions as the image size requires."""
        super().__init__()
        self.axis = axis
        self.channels = channels = space.shape[axis]
        self.sides = sides = space.shape[:-1] if axis == -1 else space.shape[1:]
        self.padded = sides
        layers: list[nn.Module] = []
        if max(sides) >= LARGE_SIDE:
            self.padded = tuple(PATCH * math.ceil(side / PATCH) for side in sides)
            layers = [nn.Conv2d(channels, 32, PATCH, stride=PATCH), nn.ReLU(inplace=True)]
            channels, sides = 32, tuple(side // PATCH for side in self.padded)
        while max(sides) > MIN_SIDE or not layers:
            more = 16 if not layers else 32
            layers += [nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
            channels, sides = more, tuple((side + 1) // 2 for side in sides)
        self.net = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels * math.prod(sides), width), nn.ReLU()
        )
        for layer in self.net:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                # PyTorch's default initialisation loses contrast at every layer, down to nothing.
                nn.init.orthogonal_(layer.weight, math.sqrt(2))
        self.out = nn.Linear(width, width)
        self.target_size = self.channels * TARGET_SIDE**2
        for name, side in zip(("row_means", "column_means"), self.sides, strict=True):
            self.register_buffer(name, mean_matrix(side, TARGET_SIDE), persistent=False)

    def describe(self) -> str:
        """Return the size and the order of the axes."""
        order = "last" if self.axis == -1 else "first"
        height, width = self.sides
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"images of {height} x {width} pixels, {channels} ({order} axis)"

    def forward(self, obs: Obs) -> Tensor:
        """Encode uint8 `[..., H, W, C]`, or `[..., C, H, W]`."""
        assert isinstance(obs, Tensor)
        features = [self.net(self._floats(part)) for part in in_parts(self._images(obs))]
        return self.out(torch.cat(features)).view(*obs.shape[:-3], self.out.out_features)

    def _floats(self, images: Tensor) -> Tensor:
        """Return uint8 images `[N, H, W, C]` as brightness in [0, 1], `[N, C, H', W']`, padded."""
        if self.padded != self.sides:
            bottom, right = (n - side for n, side in zip(self.padded, self.sides, strict=True))
            images = nn.functional.pad(images, (0, 0, 0, right, 0, bottom))
        return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean squared error of the brightness, downscaled to `TARGET_SIDE` a side."""
        assert isinstance(obs, Tensor)
        target = torch.cat([self._downscaled(part) for part in in_parts(self._images(obs))])
        return (prediction.reshape(target.shape) - target).pow(2).mean()

    def _downscaled(self, images: Tensor) -> Tensor:
        """Return the brightness of uint8 images, downscaled, `[N, C, TARGET_SIDE, TARGET_SIDE]`."""
        floats = images.to(torch.float32)
        rows = torch.matmul(self.row_means, floats.flatten(-2))
        means = torch.matmul(self.column_means, rows.unflatten(-1, floats.shape[-2:]))
        return means.permute(0, 3, 1, 2) / 255

    def _images(self, obs: Tensor) -> Tensor:
        """Return uint8 images with their channels last, `[N, H, W, C]`."""
        images = obs.flatten(0, -4) if obs.dim() > 3 else obs.unsqueeze(0)
        return images if self.axis == -1 else images.permute(0, 2, 3, 1)


def mean_matrix(side: int, parts: int) -> Tensor:
    """Return the matrix `[parts, side]` that averages `side` pixels over `parts` equal parts."""
    matrix = torch.zeros(parts, side)
    for part in range(parts):
        start, end = part * side // parts, math.ceil((part + 1) * side / parts)
        matrix[part, start:end] = 1 / (end - start)
    return matrix
