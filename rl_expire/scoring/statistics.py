"""Summarise a number over several seeds. Needs SciPy (the extra `compare`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_BOOTSTRAP = 5
"""Seeds below which there is no confidence interval: that of the bootstrap would be the range from
the lowest to the highest value, which three seeds leave outside in one of four cases."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds, and how much they differ.

    Attributes:
        mean: mean of the finite values; NaN without any.
        low: for `MIN_BOOTSTRAP` values and more the lower end of the bootstrap 95 % confidence
            interval of the mean, for fewer the lowest value; NaN for a single one.
        high: the upper end, or the highest value.
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
    if len(finite) < MIN_BOOTSTRAP or np.ptp(finite) == 0:
        return Estimate(mean, float(finite.min()), float(finite.max()), iqm, len(finite))
    interval = stats.bootstrap(
        (finite,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high), iqm, len(finite))
