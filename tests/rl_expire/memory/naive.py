"""Fades and attention in plain Python, and spans of random weights."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rl_expire.memory.expire_span import (
    Fade,
    SpanHead,
)

FADES: list[Fade] = ["linear", "log-linear"]
fades = pytest.mark.parametrize("fade", FADES)
INF = math.inf


def close(actual: Tensor, expected: Any, tolerance: float = 1e-6) -> None:
    """Assert that values are close, whatever the type of `expected`."""
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)


def naive_mask(remaining: float, ramp: float, fade: Fade) -> float:
    """Return the weight factor of a memory."""
    if remaining <= -ramp:
        return 0.0
    if remaining >= 0:
        return 1.0
    return 1 + remaining / ramp if fade == "linear" else math.exp(10 * remaining / ramp)


def naive_slope(remaining: float, ramp: float, fade: Fade) -> float:
    """Return the derivative of `naive_mask` where it exists."""
    if not -ramp < remaining < 0:
        return 0.0
    return 1 / ramp if fade == "linear" else 10 / ramp * naive_mask(remaining, ramp, fade)


def naive_attention(score: list[float], mask: list[float]) -> list[float]:
    """Return m * a / sum(m * a), the paper's equation 4."""
    total = sum(math.exp(s) for s in score)
    faded = [m * math.exp(s) / total for m, s in zip(mask, score, strict=True)]
    return [f / sum(faded) for f in faded]


def random_head(width: int, max_span: float = 12.0) -> SpanHead:
    """Return a head with random weights in double precision."""
    head = SpanHead(width, max_span, 0.5).double()
    with torch.no_grad():
        head.weight.normal_()
        head.bias.fill_(-0.4)
        head.center.normal_()
        head.scale.fill_(1.7)
    return head
