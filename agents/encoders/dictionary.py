"""Encoder of dictionary observations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from agents.encoders.base import Encoder
from rl_expire.types import Obs
from rl_expire.vector.nest import plain_name


class DictEncoder(Encoder):
    """Encode a dictionary of observations as the sum of the codes of its entries.

    Args:
        parts: the encoder of each entry, by its key.
    """

    def __init__(self, parts: Mapping[str, Encoder]):
        """Keep the encoders of the entries."""
        super().__init__()
        self.keys = list(parts)
        self.parts = nn.ModuleDict({module_name(key): part for key, part in parts.items()})
        self.target_size = sum(encoder.target_size for encoder in parts.values())

    def encoders(self) -> dict[str, Encoder]:
        """Return the encoders of the entries, by key."""
        parts = (part for part in self.parts.values() if isinstance(part, Encoder))
        return dict(zip(self.keys, parts, strict=True))

    def describe(self) -> str:
        """Return what each entry is read as."""
        parts = self.encoders().items()
        return "; ".join(f"{key!r}: {encoder.describe()}" for key, encoder in parts)

    def forward(self, obs: Obs) -> Tensor:
        """Encode a dict of tensors with equal leading dimensions."""
        assert isinstance(obs, dict)
        return torch.stack([encoder(obs[key]) for key, encoder in self.encoders().items()]).sum(0)

    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the sum of the losses of all entries."""
        assert isinstance(obs, dict)
        encoders = self.encoders()
        parts = prediction.split([encoder.target_size for encoder in encoders.values()], dim=-1)
        losses = [
            encoder.reconstruction_loss(part, obs[key])
            for part, (key, encoder) in zip(parts, encoders.items(), strict=True)
        ]
        return torch.stack(losses).sum()

    def update_stats(self, obs: Obs, valid: Tensor) -> None:
        """Update the statistics of all entries."""
        assert isinstance(obs, dict)
        for key, encoder in self.encoders().items():
            encoder.update_stats(obs[key], valid)


def module_name(key: str) -> str:
    """Return a name for the submodule of `key`: the key itself, wherever PyTorch allows it.

    PyTorch allows neither dots nor an empty name nor the attributes of modules, such as `type` and
    `keys`. Different keys have different names.
    """
    name = plain_name(key).replace(".", "%2E")
    return f"%{name}" if not name or hasattr(nn.ModuleDict(), name) else name
