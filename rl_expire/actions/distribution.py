"""The policy's distribution over actions, whatever their space."""

from __future__ import annotations

import math

import gymnasium as gym
import torch
from torch import Tensor, nn

from rl_expire.actions.layout import ActionLayout

MASKED = -1e9
"""Logit of a category that is not allowed: its probability is 0, and all gradients are finite."""
LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
"""Bounds of the logarithm of a standard deviation."""


class ActionDistribution:
    """Independent categories and Gaussians, computed from P parameters, called `logits`.

    The logits `[..., P]` are those of all categories, one part after the other, then K means and K
    logarithms of standard deviations. Where a `Box` is bounded, the Gaussian is squashed by tanh,
    as in soft actor-critic (Haarnoja et al. 2018, appendix C).

    Args:
        space: action space of one environment, see `ActionLayout`.

    Attributes:
        layout: how actions are stored in tensors.
        categories: number of categories of all parts, C.
        size: P = C + 2 K.

    Raises:
        UnsupportedSpaceError: agents cannot act in the space.
    """

    def __init__(self, space: gym.Space):
        """Compute the sizes."""
        self.layout = layout = ActionLayout(space)
        self.categories = sum(layout.sizes)
        self.size = self.categories + 2 * layout.numbers

    def masked(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return `logits` with the categories that `mask [..., C]` bool leaves out ruled out."""
        allowed = logits[..., : self.categories].masked_fill(~mask, MASKED)
        return torch.cat([allowed, logits[..., self.categories :]], -1)

    def sample(self, logits: Tensor) -> Tensor:
        """Draw actions."""
        # Gumbel-max: logits minus the logarithm of exponential noise.
        noise = torch.empty_like(logits[..., : self.categories]).exponential_().log()
        categories = self._largest(logits[..., : self.categories] - noise)
        if self.layout.plain:
            return categories
        mean, log_std = self._gaussian(logits)
        return torch.cat([categories, mean + log_std.exp() * torch.randn_like(mean)], -1)

    def mode(self, logits: Tensor) -> Tensor:
        """Return the most likely categories, and the means of the Gaussians."""
        categories = self._largest(logits[..., : self.categories])
        if self.layout.plain:
            return categories
        return torch.cat([categories, self._gaussian(logits)[0]], -1)

    def log_prob(self, logits: Tensor, action: Tensor) -> Tensor:
        """Return the log-probability `[...]` of actions.

        Of continuous numbers it is the log-density, of squashed ones that over [-1, 1].
        """
        if self.layout.plain:
            return torch.log_softmax(logits, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)
        total = logits.new_zeros(logits.shape[:-1])
        chosen = action[..., : len(self.layout.sizes)].long()
        for n, part in enumerate(self._parts(logits)):
            log_p = torch.log_softmax(part, -1)
            total = total + log_p.gather(-1, chosen[..., n : n + 1]).squeeze(-1)
        if self.layout.numbers:
            mean, log_std = self._gaussian(logits)
            number = action[..., len(self.layout.sizes) :]
            z = (number - mean) / log_std.exp()
            density = -0.5 * z.pow(2) - log_std - 0.5 * math.log(2 * math.pi)
            total = total + (density - self._log_slope(number)).sum(-1)
        return total

    def entropy(self, logits: Tensor) -> Tensor:
        """Return the entropy `[...]` in nats.

        That of a squashed Gaussian has no closed form; it is estimated from one sample, with
        gradients.
        """
        total = logits.new_zeros(logits.shape[:-1])
        for part in self._parts(logits):
            log_p = torch.log_softmax(part, -1)
            total = total - (log_p.exp() * log_p).sum(-1)
        if self.layout.numbers:
            mean, log_std = self._gaussian(logits)
            own = log_std + 0.5 * math.log(2 * math.pi * math.e)
            sample = mean + log_std.exp() * torch.randn_like(mean)
            total = total + (own + self._log_slope(sample)).sum(-1)
        return total

    def kl(self, first: Tensor, second: Tensor) -> Tensor:
        """Return KL(first || second) `[...]` in nats; both are logits `[..., P]`."""
        total = first.new_zeros(first.shape[:-1])
        for p, q in zip(self._parts(first), self._parts(second), strict=True):
            log_p, log_q = torch.log_softmax(p, -1), torch.log_softmax(q, -1)
            total = total + (log_p.exp() * (log_p - log_q)).sum(-1)
        if self.layout.numbers:  # squashing both changes nothing
            (mean, log_std), (other, other_log_std) = self._gaussian(first), self._gaussian(second)
            ratio = (2 * (log_std - other_log_std)).exp()
            shift = ((mean - other) / other_log_std.exp()).pow(2)
            total = total + 0.5 * (ratio + shift - 1).sum(-1) - (log_std - other_log_std).sum(-1)
        return total

    def probabilities(self, logits: Tensor) -> list[Tensor]:
        """Return the probabilities `[..., A]` of the categories of each part."""
        return [part.softmax(-1) for part in self._parts(logits)]

    def _parts(self, logits: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each part's categories."""
        return logits[..., : self.categories].split(self.layout.sizes, -1)

    def _largest(self, scores: Tensor) -> Tensor:
        """Return the category with the largest of the `scores [..., C]` in each part."""
        if self.layout.plain:
            return scores.argmax(-1)
        chosen = [part.argmax(-1) for part in scores.split(self.layout.sizes, -1)]
        empty = scores.new_zeros(*scores.shape[:-1], 0)
        return torch.stack(chosen, -1).to(scores.dtype) if chosen else empty

    def _gaussian(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and logarithms of standard deviations, `[..., K]` each."""
        mean, log_std = logits[..., self.categories :].chunk(2, -1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def _log_slope(self, number: Tensor) -> Tensor:
        """Return the logarithm of the slope of tanh at `number [..., K]`; 0 where unbounded.

        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), which is exact for large u as well.
        """
        slope = 2 * (math.log(2) - number - nn.functional.softplus(-2 * number))
        return slope.masked_fill(~self.layout.bounded.to(number.device), 0.0)
