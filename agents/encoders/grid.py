"""Encoder of MiniGrid cells."""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.encoders.base import Encoder
from agents.encoders.categories import CategoryTarget
from rl_expire.types import Obs


class GridEncoder(Encoder):
    """Encode cells of three categories each, as in MiniGrid: object, colour and state.

    Each combination of cell, channel and value has its own embedding.

    Args:
        space: a space for which `is_cells` is true; its upper bounds are the largest categories.
        width: D.
    """

    offsets: Tensor
    last: Tensor

    def __init__(self, space: spaces.Box, width: int):
        """Create the weights for the categories that `space` allows."""
        super().__init__()
        self.sides = space.shape[:2]
        self.sizes = [int(high) + 1 for high in space.high.reshape(-1, 3).max(0)]
        categories = torch.tensor(self.sizes).repeat(self.sides[0] * self.sides[1])
        self.register_buffer("offsets", categories.cumsum(0) - categories, persistent=False)
        self.register_buffer("last", categories - 1, persistent=False)
        self.inputs = sum(self.sizes) * self.sides[0] * self.sides[1]
        self.target = CategoryTarget(len(categories), max(self.sizes))
        self.target_size = self.target.size
        self.net = nn.Sequential(nn.Linear(self.inputs, width), nn.ReLU(), nn.Linear(width, width))

    def describe(self) -> str:
        """Return the number of cells and of categories."""
        sizes = " x ".join(map(str, self.sizes))
        return f"{self.sides[0]} x {self.sides[1]} MiniGrid cells of {sizes} categories"

    def forward(self, obs: Obs) -> Tensor:
        """Encode uint8 `[..., h, w, 3]`."""
        index = self._categories(obs) + self.offsets
        one_hot = torch.zeros(*index.shape[:-1], self.inputs, device=index.device)
        return self.net(one_hot.scatter_(-1, index, 1.0))

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean cross-entropy of the channels of a cell, in nats."""
        return self.target.loss(prediction, self._categories(obs))

    def _categories(self, obs: Obs) -> Tensor:
        """Return the category of each channel of each cell, `[..., h * w * 3]`.

        Raises:
            ValueError: a cell has a category beyond those of the space.
        """
        assert isinstance(obs, Tensor)
        categories = obs.flatten(-3).to(torch.int64)
        exporting = torch.compiler.is_exporting()  # a graph cannot raise
        if not exporting and bool((categories > self.last).any()):
            raise ValueError(
                f"an observation of MiniGrid cells holds {int(categories.max())}, where the "
                f"observation space allows less than {' x '.join(map(str, self.sizes))} categories"
            )
        return categories
