"""Reconstruction of categories, such as tokens and MiniGrid cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST_SCORES = 2048
"""Most values in a prediction that scores every category of every place."""


class CategoryTarget:
    """What a prediction of P categories consists of, and its loss.

    Few categories are scored one by one. Where this would take more than `MOST_SCORES` values, as
    for 48 words out of 2,048, the binary digits of each category are predicted instead, as if they
    were independent: C categories take log2(C) values a place. Both losses are cross-entropies in
    nats per place, and equal for a uniform prediction of 2^n categories.

    Args:
        places: P.
        categories: C, the largest number of categories of a place.

    Attributes:
        size: number of values in a prediction.
    """

    def __init__(self, places: int, categories: int):
        """Choose scores or digits."""
        self.places = places
        self.digits = None
        if places * categories > MOST_SCORES:
            self.digits = max(1, (categories - 1).bit_length())
        self.size = places * (self.digits or categories)

    def loss(self, prediction: Tensor, categories: Tensor) -> Tensor:
        """Return the mean cross-entropy `[]`, in nats per place.

        Args:
            prediction: `[..., size]`.
            categories: `[..., P]` int64.
        """
        by_place = prediction.unflatten(-1, (self.places, -1)).flatten(0, -2)
        if self.digits is None:
            return nn.functional.cross_entropy(by_place, categories.flatten())
        powers = torch.arange(self.digits, device=categories.device)
        digits = (categories.reshape(-1, 1) >> powers & 1).to(prediction.dtype)
        loss = nn.functional.binary_cross_entropy_with_logits(by_place, digits)
        return loss * self.digits
