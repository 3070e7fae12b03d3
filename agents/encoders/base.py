"""Interface of observation encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rl_expire.types import Obs

MOST_VALUES = 2**21
"""Number of observed values that a CPU processes at once: more do not fit its cache."""


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

    def update_stats(self, obs: Obs, valid: Tensor) -> None:
        """Update running statistics from observations `[T, B, ...]`; by default there are none.

        Args:
            obs: this rank's observations; every rank has to call this.
            valid: `[T, B]` bool, which of them count.
        """


def in_parts(batch: Tensor) -> Sequence[Tensor]:
    """Return observations `[N, ...]` in parts along the first axis, each fit for a CPU's cache."""
    if batch.device.type != "cpu" or torch.compiler.is_exporting():
        return [batch]
    return batch.split(max(1, MOST_VALUES // max(1, batch.shape[1:].numel())))
