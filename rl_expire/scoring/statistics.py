"""Summarise a number over seeds, and scores over tasks. Needs SciPy (the extra `compare`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_BOOTSTRAP = 5
"""Seeds below which there is no confidence interval: that of the bootstrap would be the range from
the lowest to the highest value, which three seeds leave outside in one of four cases."""

OUTER = 0.25
"""Share of the values at each end that an interquartile mean leaves out."""


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

    finite = _finite(values)
    if not len(finite):
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    mean, iqm = float(finite.mean()), float(stats.trim_mean(finite, OUTER))
    if len(finite) == 1:
        return Estimate(mean, math.nan, math.nan, iqm, 1)
    if len(finite) < MIN_BOOTSTRAP or np.ptp(finite) == 0:
        return Estimate(mean, float(finite.min()), float(finite.max()), iqm, len(finite))
    interval = stats.bootstrap(
        (finite,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high), iqm, len(finite))


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % confidence interval, whose ends are NaN where there is none."""

    value: float
    low: float
    high: float


def iqm_over_tasks(tasks: Sequence[Sequence[float | None]]) -> Interval:
    """Return the interquartile mean of all runs on all tasks (Agarwal et al. 2021, section 4).

    The interval is that of the bootstrap stratified by task: runs are drawn anew within each task.

    Args:
        tasks: scores of the runs on each task; None, NaN and infinities are left out.

    Returns:
        NaN if a task has no score; no interval if one has a single score.
    """
    from scipy import stats  # an optional dependency

    scores = [_finite(values) for values in tasks]
    fewest = min((len(values) for values in scores), default=0)
    if not fewest:
        return Interval(math.nan, math.nan, math.nan)

    def iqm(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        """Return the interquartile mean of all samples together."""
        return stats.trim_mean(np.concatenate(samples, axis=axis), OUTER, axis=axis)

    value = float(iqm(*scores))
    if fewest < 2:
        return Interval(value, math.nan, math.nan)
    interval = stats.bootstrap(
        scores, iqm, method="percentile", vectorized=True, rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(value, float(interval.low), float(interval.high))


def _finite(values: Sequence[float | None]) -> np.ndarray:
    """Return the values that are finite numbers."""
    return np.array([v for v in values if v is not None and math.isfinite(v)], dtype=float)
