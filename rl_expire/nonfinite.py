"""What to say of a batch whose loss, or its gradient, was not finite."""

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
