"""Observation encoders, chosen by observation space. Each maps `[..., *obs]` to `[..., D]`."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from torch import Tensor, nn

from agents.encoder import Encoder, categorical_loss
from agents.pixels import PixelEncoder, channel_axis
from rl_expire.types import Obs

LARGEST_GRID = 32
"""A uint8 `[h, w, 3]` box with longer sides holds pixels, not cells."""


def make_encoder(space: gym.Space, width: int, path: str = "") -> Encoder:
    """Return the encoder for `space`.

    MiniGrid cells (uint8 `[h, w, 3]`) are read as categories, larger or other uint8 pictures as
    pixels, Discrete and MultiDiscrete vectors as token sequences, all other boxes and bits as
    vectors, and dictionaries of these as the sum of their parts.

    Args:
        space: of the observations.
        width: D.
        path: where in the whole observation space it is, such as `['image']`.

    Raises:
        ValueError: the space is none of these.
    """
    if isinstance(space, spaces.Dict) and not path:
        return DictEncoder(space, width)
    if isinstance(space, spaces.Discrete):
        return TokenEncoder(int(space.n), int(space.start), None, width)
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        return TokenEncoder(int(space.nvec.max()), space.start, space.shape[0], width)
    if isinstance(space, spaces.Box) and is_grid(space):
        return GridEncoder(space, width)
    if isinstance(space, spaces.Box) and (axis := channel_axis(space)) is not None:
        return PixelEncoder(space, axis, width)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return VectorEncoder(math.prod(space.shape), len(space.shape), width)
    name = " ".join(str(space).split())
    at = f" at {path}" if path else ""
    raise ValueError(
        f"observation space {name}{at} is not supported: use a wrapper that gives a Box, Discrete, "
        "a MultiDiscrete vector, MultiBinary, or a flat Dict of these "
        "(gymnasium.wrappers:FlattenObservation makes a vector of most)"
    )


def is_grid(space: spaces.Box) -> bool:
    """Whether `space` holds MiniGrid cells: uint8 `[h, w, 3]`, small enough not to be pixels."""
    return (
        space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] == 3
        and max(space.shape) <= LARGEST_GRID
    )


class GridEncoder(Encoder):
    """MiniGrid cells as categories: each (place, channel, value) has its own learned vector."""

    offsets: Tensor

    def __init__(self, space: spaces.Box, width: int):
        super().__init__()
        known = (len(OBJECT_TO_IDX), len(COLOR_TO_IDX), 4)
        bounds = space.high.reshape(-1, 3).max(0)
        sizes = [
            int(high) + 1 if high < 255 else size for high, size in zip(bounds, known, strict=True)
        ]
        places = space.shape[0] * space.shape[1]
        categories = torch.tensor(sizes).repeat(places)
        self.register_buffer("offsets", categories.cumsum(0) - categories, persistent=False)
        self.register_buffer("last", categories - 1, persistent=False)
        self.last: Tensor
        self.inputs = int(categories.sum())
        self.outputs = len(categories) * max(sizes)
        self.net = nn.Sequential(nn.Linear(self.inputs, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, obs: Obs) -> Tensor:
        """Encode uint8 `[..., h, w, 3]`."""
        index = self._categories(obs) + self.offsets
        one_hot = torch.zeros(*index.shape[:-1], self.inputs, device=index.device)
        return self.net(one_hot.scatter_(-1, index, 1.0))

    def reconstruction_loss(self, read: Tensor, obs: Obs) -> Tensor:
        """Cross-entropy of a channel of a cell, in nats."""
        return categorical_loss(read, self._categories(obs))

    def _categories(self, obs: Obs) -> Tensor:
        """Return `[..., h * w * 3]`, which category each channel of each cell is."""
        assert isinstance(obs, Tensor)
        return torch.minimum(obs.flatten(-3).to(torch.int64), self.last)


class TokenEncoder(Encoder):
    """A sequence of token ids: embedding and position, pooled by a learned attention.

    `start` is the first id, of each place or of all; ids beyond the vocabulary count as its last.
    """

    start: Tensor

    def __init__(self, vocabulary: int, start: int | np.ndarray, length: int | None, width: int):
        super().__init__()
        self.single = length is None
        self.outputs = (length or 1) * vocabulary
        self.register_buffer("start", torch.as_tensor(start), persistent=False)
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.randn(length or 1, width) * 0.02)
        self.score = nn.Linear(width, 1)
        self.net = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, obs: Obs) -> Tensor:
        """Encode integers `[..., length]`, or `[...]` where made with length None."""
        words = torch.relu(self.token(self._tokens(obs)) + self.position)
        weights = torch.softmax(self.score(words), dim=-2)
        return self.net((weights * words).sum(-2))

    def reconstruction_loss(self, read: Tensor, obs: Obs) -> Tensor:
        """Cross-entropy of a token, in nats."""
        return categorical_loss(read, self._tokens(obs))

    def _tokens(self, obs: Obs) -> Tensor:
        """Return `[..., length]`, counted from 0."""
        assert isinstance(obs, Tensor)
        tokens = (obs.to(torch.int64) - self.start).clamp(0, self.token.num_embeddings - 1)
        return tokens.unsqueeze(-1) if self.single else tokens


class VectorEncoder(Encoder):
    """Any box of numbers, flattened to a vector, squashed so that large inputs stay tame."""

    def __init__(self, inputs: int, dims: int, width: int):
        super().__init__()
        self.dims = dims
        self.outputs = inputs
        self.net = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, obs: Obs) -> Tensor:
        """Encode numbers `[..., *shape]`."""
        return self.net(self._squashed(obs))

    def reconstruction_loss(self, read: Tensor, obs: Obs) -> Tensor:
        """Squared error of a squashed number."""
        return (read - self._squashed(obs)).pow(2).mean()

    def _squashed(self, obs: Obs) -> Tensor:
        assert isinstance(obs, Tensor)
        flat = obs.to(torch.float32)
        flat = flat.flatten(-self.dims) if self.dims else flat.unsqueeze(-1)
        return torch.sign(flat) * torch.log1p(flat.abs())


class DictEncoder(Encoder):
    """A dictionary of observations: the sum of its parts' encodings."""

    def __init__(self, space: spaces.Dict, width: int):
        super().__init__()
        self.parts = nn.ModuleDict(
            {name: make_encoder(s, width, f"[{name!r}]") for name, s in space.items()}
        )
        self.outputs = sum(encoder.outputs for _, encoder in self._encoders())

    def forward(self, obs: Obs) -> Tensor:
        """Encode a dict of tensors with equal leading dimensions."""
        assert isinstance(obs, dict)
        return torch.stack([encoder(obs[name]) for name, encoder in self._encoders()]).sum(0)

    def reconstruction_loss(self, read: Tensor, obs: Obs) -> Tensor:
        """Sum of what the parts misread."""
        assert isinstance(obs, dict)
        parts = read.split([encoder.outputs for _, encoder in self._encoders()], dim=-1)
        misread = [
            encoder.reconstruction_loss(part, obs[name])
            for part, (name, encoder) in zip(parts, self._encoders(), strict=True)
        ]
        return torch.stack(misread).sum()

    def _encoders(self) -> list[tuple[str, Encoder]]:
        return [(name, part) for name, part in self.parts.items() if isinstance(part, Encoder)]
