"""Encoder of MiniGrid observations."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from torch import Tensor, nn

from agents.encoders.base import Encoder, categorical_loss
from rl_expire.types import Obs

MAX_SIDE = 32
"""A uint8 box `[h, w, 3]` with longer sides is taken for an image, not for MiniGrid cells."""


def is_grid(space: spaces.Box) -> bool:
    """Whether `space` looks like MiniGrid cells: uint8 `[h, w, 3]`, with sides up to `MAX_SIDE`."""
    return (
        space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] == 3
        and max(space.shape) <= MAX_SIDE
    )


class GridEncoder(Encoder):
    """Encode MiniGrid cells as categories.

    Each combination of cell, channel and value has its own embedding. Values beyond the known
    categories count as the last one.
    """

    offsets: Tensor
    last: Tensor

    def __init__(self, space: spaces.Box, width: int):
        """Create the weights for the categories that `space` allows, or MiniGrid's own."""
        super().__init__()
        known = (len(OBJECT_TO_IDX), len(COLOR_TO_IDX), 4)
        bounds = space.high.reshape(-1, 3).max(0)
        sizes = [
            int(high) + 1 if high < 255 else size for high, size in zip(bounds, known, strict=True)
        ]
        cells = space.shape[0] * space.shape[1]
        categories = torch.tensor(sizes).repeat(cells)
        self.register_buffer("offsets", categories.cumsum(0) - categories, persistent=False)
        self.register_buffer("last", categories - 1, persistent=False)
        self.inputs = int(categories.sum())
        self.target_size = len(categories) * max(sizes)
        self.net = nn.Sequential(nn.Linear(self.inputs, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, obs: Obs) -> Tensor:
        """Encode uint8 `[..., h, w, 3]`."""
        index = self._categories(obs) + self.offsets
        one_hot = torch.zeros(*index.shape[:-1], self.inputs, device=index.device)
        return self.net(one_hot.scatter_(-1, index, 1.0))

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean cross-entropy of the channels of a cell, in nats."""
        return categorical_loss(prediction, self._categories(obs))

    def _categories(self, obs: Obs) -> Tensor:
        """Return the category of each channel of each cell, `[..., h * w * 3]`."""
        assert isinstance(obs, Tensor)
        return torch.minimum(obs.flatten(-3).to(torch.int64), self.last)
