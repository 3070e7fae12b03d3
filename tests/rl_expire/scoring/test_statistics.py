"""Means and intervals against known values."""

import math

import pytest

from rl_expire.scoring.statistics import estimate


def test_the_interquartile_mean_leaves_out_the_outer_quarters() -> None:
    found = estimate([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])
    assert found.iqm == (2 + 3 + 4 + 5) / 4
    assert found.mean == 121 / 8
    assert found.n == 8


def test_of_two_values_the_interval_goes_from_one_to_the_other() -> None:
    # Of four equally likely resamples, a quarter are all low and a quarter all high.
    found = estimate([0.2, 0.6])
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))
    assert found.mean == found.iqm == pytest.approx(0.4)


def test_of_many_values_it_is_close_to_two_standard_errors() -> None:
    values = [math.sin(n) for n in range(400)]
    found = estimate(values)
    deviation = math.sqrt(sum((v - found.mean) ** 2 for v in values) / 399)
    half = 1.96 * deviation / math.sqrt(400)
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)


@pytest.mark.filterwarnings("error")
def test_equal_values_one_value_and_none() -> None:
    same = estimate([0.5, 0.5, 0.5])
    assert (same.mean, same.low, same.high, same.iqm) == (0.5, 0.5, 0.5, 0.5)
    one = estimate([0.7])
    assert (one.mean, one.n) == (0.7, 1)
    assert math.isnan(one.low)
    none = estimate([math.nan])
    assert none.n == 0
    assert math.isnan(none.mean)


def test_values_that_are_not_there_are_left_out() -> None:
    found = estimate([1.0, math.nan, 3.0, None])
    assert (found.mean, found.n) == (2.0, 2)
