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
    def describe(self) -> str:
        """Return what observations are read as, such as `a vector of 4 numbers`."""

    @abstractmethod
    def forward(self, obs: Obs) -> Tensor:
        """Return the codes `[..., D]` of observations.

        Raises:
            ValueError: an observation is not in the space that the encoder was made for.
        """

    @abstractmethod
    def reconstruction_loss(self, prediction: Tensor, obs: Obs) -> Tensor:
        """Return the mean loss `[]` of predictions `[..., K]` of observations."""
