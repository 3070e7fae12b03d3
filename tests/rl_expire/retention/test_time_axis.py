"""The time axis labels the first step and round ones, and stays within its edges."""

from __future__ import annotations

import pytest

from rl_expire.retention.time_axis import TimeAxis


@pytest.mark.parametrize("steps", [1, 2, 7, 40, 199, 10_000])
def test_the_first_step_and_round_steps_are_labelled_counting_from_one(steps: int) -> None:
    axis = TimeAxis(100, 900, steps)
    first, *rest = (step + 1 for step in axis.ticks())
    assert first == 1
    assert len(rest) <= 6
    assert all(number % 5 == 0 and number <= steps for number in rest)
    assert all(axis.left <= axis.x(step) <= axis.right for step in axis.ticks())
