"""Interface of observation encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rl_expire.types import Obs


class Encoder(nn.Module, ABC):
    """Map observations `[..., *obs]` to codes `[..., D]`.

    Attributes:
        target_size: number of values K that a prediction of one observation consists of.
    """

    target_size: int

    @abstractmethod
    def forward(self, obs: Obs) -> Tensor:
        """Return the codes `[..., D]` of observations."""

    @abstractmethod
    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean loss `[]` of predictions `[..., K]` of observations."""


def categorical_loss(logits: Tensor, categories: Tensor) -> Tensor:
    """Return the mean cross-entropy `[]`, in nats per place, over P places of C categories each.

    Args:
        logits: `[..., P * C]`.
        categories: `[..., P]` int64.
    """
    places = categories.shape[-1]
    by_place = logits.unflatten(-1, (places, -1)).flatten(0, -2)
    return nn.functional.cross_entropy(by_place, categories.flatten())
