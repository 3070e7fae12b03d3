"""What every observation encoder is: it encodes, and says how well its code can be read back."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from rl_expire.types import Obs


class Encoder(nn.Module):
    """Maps observations `[..., *obs]` to `[..., D]`.

    Attributes:
        outputs: K, how many numbers are read back from a state for one observation.
    """

    outputs: int

    @abstractmethod
    def forward(self, obs: Obs) -> Tensor:
        """Return the code `[..., D]` of observations."""

    @abstractmethod
    def reconstruction_loss(self, read: Tensor, obs: Obs) -> Tensor:
        """Return how far `read [..., K]` is from what `obs` holds, on average, `[]`."""


def categorical_loss(read: Tensor, categories: Tensor) -> Tensor:
    """Cross-entropy, in nats a place, of scores `[..., P * C]` for `categories [..., P]`."""
    places = categories.shape[-1]
    scores = read.unflatten(-1, (places, -1)).flatten(0, -2)
    return nn.functional.cross_entropy(scores, categories.flatten())
