"""Losses and gradients that are not finite: skip the optimizer step, and describe the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class NonFiniteLossError(RuntimeError):
    """A loss or a gradient is NaN or infinite.

    Attributes:
        description: summary of the batch, as `describe` returns it.
    """

    def __init__(self, message: str, description: dict[str, dict[str, Any]]):
        """Attach the description of a batch to the message."""
        super().__init__(message)
        self.description = description


class SkipCounter:
    """Count of the optimizer steps that were skipped because loss or gradient was not finite.

    Args:
        limit: number of consecutive skips to tolerate.

    Attributes:
        total: number of all skips.
        consecutive: number of skips since the last step that was taken.
    """

    def __init__(self, limit: int):
        """Start with both counts at 0."""
        self.limit = limit
        self.total = self.consecutive = 0

    def step_taken(self) -> None:
        """Record a step that was taken."""
        self.consecutive = 0

    def step_skipped(self, error: NonFiniteLossError) -> None:
        """Record a step that was skipped because of `error`.

        Raises:
            NonFiniteLossError: `error`, if more than `limit` steps in a row were skipped.
        """
        self.total += 1
        self.consecutive += 1
        if self.consecutive > self.limit:
            raise error


def describe(batch: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Summarise the tensors of a batch as JSON.

    Args:
        batch: tensors by name.

    Returns:
        A dict for each tensor. Of bools: `share`, the fraction that is true. Of numbers: `least`
        and `most` of the finite entries, None if there are none. Of both: the number of `entries`,
        and how many are `nonfinite`.
    """
    return {name: _describe(values.detach()) for name, values in batch.items()}


def _describe(values: Tensor) -> dict[str, Any]:
    """Summarise one tensor."""
    if values.dtype == torch.bool:
        return {"share": float(values.float().mean()), "entries": values.numel(), "nonfinite": 0}
    finite = values[values.isfinite()]
    return {
        "least": float(finite.min()) if len(finite) else None,
        "most": float(finite.max()) if len(finite) else None,
        "entries": values.numel(),
        "nonfinite": values.numel() - len(finite),
    }
