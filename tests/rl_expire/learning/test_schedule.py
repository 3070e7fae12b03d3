"""The schedule: its phases, and when the task counts as solved."""

import math

import pytest

from rl_expire.learning.curriculum import Result
from rl_expire.learning.schedule import SPAN_RATE_OF_ONE_LEVEL
from tests.rl_expire.learning.schedules import (
    GOAL,
    WINDOW,
    make_schedule,
    results,
    returns,
    settling,
)


def test_phases_follow_each_other_once_the_full_task_is_solved() -> None:
    schedule = make_schedule(start=16, method="never")
    phases = []
    updates = [(50, 16, 10), (100, GOAL, 8), (150, GOAL, 9), (199, GOAL, 9), (200, GOAL, 9)]
    for steps, level, successes in updates:
        schedule.observe(steps, results(level, successes))
        phases.append(schedule.plan().phase)
    assert phases == ["learn", "learn", "settle", "settle", "end"]
    assert (schedule.solved_step, schedule.remaining_steps) == (150, 0)


def test_a_task_that_was_solved_by_chance_is_learned_further() -> None:
    schedule = make_schedule(method="never")
    schedule.observe(100, results(GOAL, 9))
    schedule.observe(150, results(GOAL, 8))
    assert (schedule.phase, schedule.plan().rate, schedule.solved_step) == ("learn", 0.25, None)
    schedule.observe(250, results(GOAL, 9))
    assert (schedule.phase, schedule.solved_step) == ("settle", 250)


def test_a_collapse_while_settling_returns_to_learning() -> None:
    schedule = make_schedule(start=16, method="never")
    schedule.observe(50, results(16, 10))
    schedule.observe(100, results(GOAL, 9))
    assert schedule.phase == "settle"
    assert schedule.observe(120, results(GOAL, 2)) == "retreat"
    assert (schedule.phase, schedule.curriculum.level) == ("learn", 16)
    assert schedule.solved_step is None


@pytest.mark.parametrize("method", ["distillation", "joint"])
def test_a_task_is_solved_no_longer_after_a_collapse(method: str) -> None:
    schedule = make_schedule(method=method)
    schedule.observe(100, results(GOAL, 10))
    schedule.observe(200, results(GOAL, 7))
    assert schedule.solved_step == 100, "a score that is somewhat lower is none"
    schedule.observe(250, results(GOAL, 6))
    assert schedule.solved_step is None
    schedule.observe(300, results(GOAL, 9))
    assert schedule.solved_step == 300
    assert schedule.phase == "learn"


def test_where_success_is_unknown_the_mean_return_has_to_reach_the_threshold() -> None:
    schedule = make_schedule(method="never", reward_threshold=1.0)  # solved at 0.9 of it
    for steps, values in [(100, (2.0, 0.0, 0.0, 2.0, 0.0)), (200, (2.0, 0.0, 0.8, 0.8, 0.8))]:
        schedule.observe(steps, returns(*values))
        assert schedule.phase == "learn"
    schedule.observe(300, returns(2.0, 0.0, 0.0, 2.0, 0.5))  # most episodes are below it
    assert (schedule.phase, schedule.solved_step) == ("settle", 300)
    assert schedule.score == pytest.approx(0.9)
    schedule.observe(350, [])
    assert schedule.phase == "end"
    unknown = make_schedule(method="never")
    assert unknown.observe(100, returns(9.0)) is None
    assert (unknown.phase, unknown.solved_step) == ("learn", None)


def test_success_counts_before_the_return() -> None:
    schedule = make_schedule(method="never", reward_threshold=1.0)
    schedule.observe(100, [Result(GOAL, 0.0, 100.0)] * WINDOW)
    assert schedule.phase == "learn"
    told_once = [Result(GOAL, 1.0 if n == 0 else math.nan, 100.0) for n in range(WINDOW)]
    schedule.observe(200, told_once)
    assert (schedule.phase, schedule.curriculum.success) == ("learn", 0.1)


def test_a_collapse_while_settling_and_forgetting_leads_back_to_full_rates() -> None:
    schedule = settling()
    schedule.observe(345, results(GOAL, 0))
    assert schedule.phase == "settle"
    schedule.observe(350, results(GOAL, 0))
    plan = schedule.plan()
    assert (plan.phase, plan.rate, plan.span_rate) == ("learn", 0.25, SPAN_RATE_OF_ONE_LEVEL)
    assert schedule.solved_step is None


def test_the_curriculum_does_not_move_after_the_end() -> None:
    schedule = make_schedule(start=16, method="never")
    for steps, level in ((50, 16), (100, GOAL), (150, GOAL)):
        schedule.observe(steps, results(level, 10))
    assert schedule.phase == "end"
    assert schedule.observe(200, results(GOAL, 0)) is None
    assert (schedule.phase, schedule.curriculum.level) == ("end", GOAL)
    assert schedule.collapse_scale == 1.0


def test_remaining_steps_are_bounded_by_phases_and_budget() -> None:
    schedule = make_schedule(method="never")
    assert schedule.remaining_steps == 10_000
    schedule.observe(100, results(GOAL, 10))
    assert schedule.remaining_steps == 50
    schedule = make_schedule(method="never", total_steps=500)
    schedule.observe(480, results(GOAL, 10))
    assert (schedule.phase, schedule.remaining_steps) == ("settle", 20)
    schedule.observe(600, [])
    assert schedule.remaining_steps == 0, "and are never negative"


def test_the_hardest_level_that_was_mastered_and_not_lost_again_is_known() -> None:
    schedule = make_schedule(start=8, method="never")
    learned = [schedule.learned]
    for level, successes in [(8, 10), (16, 10), (32, 0), (16, 10), (32, 9), (32, 8), (32, 0)]:
        schedule.observe(100, results(level, successes))
        learned.append(schedule.learned)
    assert learned == [0, 8, 16, 8, 16, 32, 32, 8]
