"""Gated feed-forward block."""

from __future__ import annotations

from torch import Tensor, nn


class FeedForward(nn.Module):
    """Pre-norm gated feed-forward block, SwiGLU (Shazeer 2020, equation 6).

    The right action often depends on a product of what is remembered and what is observed. A gate
    multiplies directly; a plain layer has to approximate the product piece by piece.

    Args:
        width: D.
        hidden: width of the hidden layer.
    """

    def __init__(self, width: int, hidden: int):
        """Create the weights."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, state: Tensor) -> Tensor:
        """Return the residual to add to states `[..., D]`."""
        value, gate = self.up(self.norm(state)).chunk(2, dim=-1)
        return self.down(value * nn.functional.silu(gate))
