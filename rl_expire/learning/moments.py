"""Mean and variance of numbers that arrive in parts."""

from __future__ import annotations

from torch import Tensor


def merged(
    mean: Tensor, variance: Tensor, new_mean: Tensor, new_variance: Tensor, share: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of a mixture of old and new numbers, all of the same shape.

    With the new numbers' share of the count of all, these are exactly the moments of all numbers
    (Chan et al. 1979, equation 2.1); with a constant share, those of a running window.

    Args:
        mean: of the old numbers.
        variance: of the old numbers, divided by their count.
        new_mean: of the new numbers.
        new_variance: of the new numbers, divided by their count.
        share: weight of the new numbers, from 0 to 1.
    """
    shift = new_mean - mean
    within = variance + share * (new_variance - variance)
    return mean + share * shift, within + share * (1 - share) * shift.square()
