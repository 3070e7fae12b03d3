"""Encoder of token sequences."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoders.base import Encoder
from agents.encoders.categories import CategoryTarget
from rl_expire.types import Obs


class TokenEncoder(Encoder):
    """Embed token ids with their positions, and pool them by learned attention.

    Args:
        vocabulary: number of different tokens.
        start: first id, for all positions or for each.
        shape: of the tokens of an observation, which are read in a row; empty for a single one.
        width: D.
    """

    start: Tensor

    def __init__(
        self, vocabulary: int, start: int | np.ndarray, shape: tuple[int, ...], width: int
    ):
        """Create the weights."""
        super().__init__()
        self.dims, length = len(shape), math.prod(shape)
        self.target = CategoryTarget(length, vocabulary)
        self.target_size = self.target.size
        self.register_buffer("start", torch.as_tensor(start), persistent=False)
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        self.score = nn.Linear(width, 1)
        self.net = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def describe(self) -> str:
        """Return the number of tokens and of ids."""
        count = "one token" if not self.dims else f"{len(self.position)} tokens"
        return f"{count} with {self.token.num_embeddings:,} ids"

    def forward(self, obs: Obs) -> Tensor:
        """Encode integers `[..., *shape]`."""
        embedded = torch.relu(self.token(self._tokens(obs)) + self.position)
        weights = torch.softmax(self.score(embedded), dim=-2)
        return self.net((weights * embedded).sum(-2))

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean cross-entropy of a token, in nats."""
        return self.target.loss(prediction, self._tokens(obs))

    def _tokens(self, obs: Obs) -> Tensor:
        """Return the token ids counted from 0, `[..., length]`.

        Raises:
            ValueError: an id is not one of the vocabulary.
        """
        assert isinstance(obs, Tensor)
        tokens = obs.to(torch.int64) - self.start
        exporting = torch.compiler.is_exporting()  # a graph cannot raise
        if not exporting and bool(((tokens < 0) | (tokens >= self.token.num_embeddings)).any()):
            raise ValueError(
                "an observation holds a token that the observation space does not allow: "
                f"{int(tokens.min())} to {int(tokens.max())}, counted from the first, where there "
                f"are {self.token.num_embeddings:,}"
            )
        return tokens.flatten(-self.dims) if self.dims else tokens.unsqueeze(-1)
