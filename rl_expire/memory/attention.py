"""Attention over memories by content and age, used by all transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MemoryAttention(nn.Module):
    """Multi-head attention in which the position of a memory is its age, not its index.

    Score = q . k / sqrt(D/H) - s_h * log(1 + age) + bias, with one learned slope s_h per head. The
    logarithm of the age needs no window and extrapolates to episodes of any length.

    Args:
        width: D.
        heads: H, which must divide D.

    Raises:
        ValueError: `heads` does not divide `width`.
    """

    def __init__(self, width: int, heads: int):
        """Create the projections and slopes."""
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"heads {heads} does not divide width {width}: choose one that does")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.slope = nn.Parameter(torch.linspace(0.0, 1.0, heads))

    def project_query(self, states: Tensor) -> Tensor:
        """Project states `[B, T, D]` to queries `[B, H, T, D/H]`."""
        return self._split(self.query(states))

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Project states `[B, K, D]` to keys and values, each `[B, H, K, D/H]`."""
        key, value = self.key_value(states).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, age: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend to K memories from T queries.

        Args:
            query: `[B, H, T, D/H]`.
            key: `[B, H, K, D/H]`.
            value: `[B, H, K, D/H]`.
            age: `[B, T, K]`, in steps; memories with negative ages must be masked by `bias`.
            bias: `[B, 1 or H, T, K]`, -inf for masked memories; each query must see at least one.

        Returns:
            The outputs `[B, T, D]` and the weights `[B, H, T, K]`.
        """
        position = torch.log1p(age.clamp(min=0).to(query.dtype)).unsqueeze(1)
        # Fused operations: on a CPU, attention over many memories is bound by memory traffic.
        offset = torch.addcmul(bias, self.slope.view(-1, 1, 1), position, value=-1)
        scores = torch.baddbmm(
            offset.flatten(0, 1),
            query.flatten(0, 1),
            key.flatten(0, 1).transpose(-1, -2),
            alpha=query.shape[-1] ** -0.5,
        )
        weights = torch.softmax(scores, dim=-1).unflatten(0, offset.shape[:2])
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        return self.output(mixed), weights

    def _split(self, states: Tensor) -> Tensor:
        """Split `[B, K, D]` into heads, `[B, H, K, D/H]`."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)
