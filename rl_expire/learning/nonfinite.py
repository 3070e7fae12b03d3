"""A loss, or its gradient, that is not finite: the step is left out, and the batch described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class NonFiniteLossError(RuntimeError):
    """The loss, or a gradient, was NaN or infinite.

    Attributes:
        description: of the batch, as `describe` returns it.
    """

    def __init__(self, message: str, description: dict[str, dict[str, Any]]):
        super().__init__(message)
        self.description = description


class Skips:
    """Counts the steps of an optimizer that were left out since their loss was not finite.

    Args:
        most: how many in a row are put up with.
    """

    def __init__(self, most: int):
        self.most = most
        self.total = self.in_a_row = 0

    def taken(self) -> None:
        """Note a step that went well."""
        self.in_a_row = 0

    def left_out(self, error: NonFiniteLossError) -> None:
        """Note a step that was left out.

        Raises:
            NonFiniteLossError: `error` itself, if there have been too many.
        """
        self.total += 1
        self.in_a_row += 1
        if self.in_a_row > self.most:
            raise error


def describe(batch: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Describe the tensors of a batch by name, as JSON can hold it.

    Returns:
        For bools `share`, how many are true; for numbers `least` and `most` of the finite entries
        (None if there are none). For both `entries`, and how many of them are `nonfinite`.
    """
    return {name: _describe(values.detach()) for name, values in batch.items()}


def _describe(values: Tensor) -> dict[str, Any]:
    if values.dtype == torch.bool:
        return {"share": float(values.float().mean()), "entries": values.numel(), "nonfinite": 0}
    finite = values[values.isfinite()]
    return {
        "least": float(finite.min()) if len(finite) else None,
        "most": float(finite.max()) if len(finite) else None,
        "entries": values.numel(),
        "nonfinite": values.numel() - len(finite),
    }
