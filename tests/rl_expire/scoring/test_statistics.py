"""Means and intervals against known values."""

import math

import numpy as np
import pytest

from rl_expire.scoring.statistics import estimate, iqm_over_tasks


def test_the_interquartile_mean_leaves_out_the_outer_quarters() -> None:
    result = estimate([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])
    assert result.iqm == (2 + 3 + 4 + 5) / 4
    assert result.mean == 121 / 8
    assert result.n == 8


def test_few_values_have_a_range_and_no_confidence_interval() -> None:
    result = estimate([0.2, 0.9, 0.4, 0.5])
    assert (result.low, result.high) == (0.2, 0.9)
    assert estimate([0.2, 0.6]).iqm == pytest.approx(0.4)
    # The interval of five values is narrower than their range.
    five = estimate([0.2, 0.9, 0.4, 0.5, 0.6])
    assert 0.2 < five.low < five.mean < five.high < 0.9


def test_the_interval_of_many_values_is_close_to_two_standard_errors() -> None:
    values = [math.sin(n) for n in range(400)]
    result = estimate(values)
    deviation = math.sqrt(sum((v - result.mean) ** 2 for v in values) / 399)
    half = 1.96 * deviation / math.sqrt(400)
    assert result.high - result.mean == pytest.approx(half, rel=0.1)
    assert result.mean - result.low == pytest.approx(half, rel=0.1)


@pytest.mark.filterwarnings("error")
def test_the_interval_of_equal_values_is_a_point_and_that_of_fewer_than_two_is_nan() -> None:
    same = estimate([0.5, 0.5, 0.5])
    assert (same.mean, same.low, same.high, same.iqm) == (0.5, 0.5, 0.5, 0.5)
    one = estimate([0.7])
    assert (one.mean, one.n) == (0.7, 1)
    assert math.isnan(one.low)
    none = estimate([math.nan])
    assert none.n == 0
    assert math.isnan(none.mean)


def test_missing_values_are_left_out() -> None:
    result = estimate([1.0, math.nan, 3.0, None])
    assert (result.mean, result.n) == (2.0, 2)


TASKS = [[0.9, 1.0, 0.95], [0.2, 0.6, 0.4, 0.3], [0.8, 0.7]]


def test_over_tasks_the_interquartile_mean_is_that_of_all_runs() -> None:
    runs = sorted(value for values in TASKS for value in values)
    assert iqm_over_tasks(TASKS).value == pytest.approx(np.mean(runs[2:-2]))
    assert iqm_over_tasks([[0.3, None, 0.5]]).value == pytest.approx(0.4)


def test_over_tasks_runs_are_drawn_anew_within_each_task() -> None:
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(4000):
        runs = np.sort(np.concatenate([rng.choice(values, len(values)) for values in TASKS]))
        drawn.append(runs[2:-2].mean())
    result = iqm_over_tasks(TASKS)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert result.low == pytest.approx(low, abs=0.01)
    assert result.high == pytest.approx(high, abs=0.01)
    # Drawn from all runs together, tasks would count unequally, and the interval be wider.
    together = iqm_over_tasks([[value for values in TASKS for value in values]])
    assert result.high - result.low < together.high - together.low


@pytest.mark.filterwarnings("error")
def test_over_tasks_there_is_no_interval_with_a_single_run_and_no_value_without_one() -> None:
    one = iqm_over_tasks([[0.5], [0.7, 0.8]])
    assert one.value == pytest.approx(2 / 3)
    assert math.isnan(one.low)
    assert math.isnan(iqm_over_tasks([[0.5, 0.6], [None]]).value)
    assert math.isnan(iqm_over_tasks([]).value)
