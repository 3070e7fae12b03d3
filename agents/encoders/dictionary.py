"""Encoder of dictionary observations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from agents.encoders.base import Encoder
from rl_expire.types import Obs


class DictEncoder(Encoder):
    """Encode a dictionary of observations as the sum of the codes of its entries.

    Args:
        parts: the encoder of each entry.
    """

    def __init__(self, parts: Mapping[str, Encoder]):
        """Keep the encoders of the entries."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.target_size = sum(encoder.target_size for encoder in parts.values())

    def forward(self, obs: Obs) -> Tensor:
        """Encode a dict of tensors with equal leading dimensions."""
        assert isinstance(obs, dict)
        return torch.stack([encoder(obs[name]) for name, encoder in self._encoders()]).sum(0)

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the sum of the losses of all entries."""
        assert isinstance(obs, dict)
        parts = prediction.split([encoder.target_size for _, encoder in self._encoders()], dim=-1)
        losses = [
            encoder.reconstruction_loss(part, obs[name])
            for part, (name, encoder) in zip(parts, self._encoders(), strict=True)
        ]
        return torch.stack(losses).sum()

    def _encoders(self) -> list[tuple[str, Encoder]]:
        """Return names and encoders of the entries."""
        return [(name, part) for name, part in self.parts.items() if isinstance(part, Encoder)]
