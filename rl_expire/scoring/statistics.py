"""Summarise a number over several seeds. Needs SciPy (the extra `compare`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds with its bootstrap 95 % confidence interval.

    Attributes:
        mean: mean of the finite values; NaN without any.
        low: lower end of the interval; NaN for fewer than two values.
        high: upper end of the interval, likewise.
        iqm: interquartile mean (Agarwal et al. 2021, section 4.3): the mean without the lowest and
            the highest quarter of the values, rounded down, so the plain mean for fewer than four.
        n: number of finite values.
    """

    mean: float
    low: float
    high: float
    iqm: float
    n: int


def estimate(values: Sequence[float | None]) -> Estimate:
    """Summarise the values of several seeds; None, NaN and infinities are left out."""
    from scipy import stats  # an optional dependency

    finite = np.array([v for v in values if v is not None and math.isfinite(v)], dtype=float)
    if not len(finite):
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    mean, iqm = float(finite.mean()), float(stats.trim_mean(finite, 0.25))
    if len(finite) == 1:
        return Estimate(mean, math.nan, math.nan, iqm, 1)
    if np.ptp(finite) == 0:
        return Estimate(mean, mean, mean, iqm, len(finite))
    interval = stats.bootstrap(
        (finite,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high), iqm, len(finite))
