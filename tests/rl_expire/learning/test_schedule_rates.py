"""The schedule: how learning rates and entropy bonus fall, and where."""

from dataclasses import replace

import pytest

from rl_expire.learning.schedule import RATE_ONCE_SOLVED, SPAN_RATE_OF_ONE_LEVEL
from tests.rl_expire.learning.schedules import GOAL, make_schedule, results, settling


@pytest.mark.parametrize("method", ["distillation", "joint", "never"])
@pytest.mark.parametrize("successes", [0, 8])
@pytest.mark.parametrize(
    ("total", "settle_steps", "begins"),
    [(1000, 50, 950), (1000, 10_000, 900), (1005, 10_000, 904), (10, 300_000, 9)],
)
def test_rates_fall_to_zero_over_the_last_steps_of_any_run_and_they_are_a_tenth_at_most(
    method: str, successes: int, total: int, settle_steps: int, begins: int
) -> None:
    schedule = make_schedule(method=method, total_steps=total, settle_steps=settle_steps)
    forgets = method == "distillation" and successes == 8
    spans = SPAN_RATE_OF_ONE_LEVEL * forgets
    for steps in (0, begins - 1, begins, (begins + total) // 2, total, total + 5):
        calm = min(1.0, max(0, total - steps) / (total - begins))
        schedule.observe(steps, results(GOAL, successes))
        plan = schedule.plan()
        assert plan.rate == pytest.approx(0.25 * calm)
        assert plan.entropy_cost == pytest.approx(0.01 * calm)
        assert plan.span_rate == pytest.approx(spans * calm)
        assert (schedule.phase, plan.phase) == ("learn", "learn")
        assert schedule.remaining_steps == max(0, total - steps)


def test_a_joint_run_that_is_solved_learns_to_its_last_step() -> None:
    schedule = make_schedule(method="joint")
    for steps in (100, 9949, 9990, 10_000):
        schedule.observe(steps, results(GOAL, 10))
        assert (schedule.phase, schedule.solved_step) == ("learn", 100), "the first time counts"
    assert (schedule.remaining_steps, schedule.plan().rate) == (0, 0.0)


def test_a_collapse_in_the_last_steps_leads_back_while_rates_go_on_falling() -> None:
    schedule = make_schedule(start=16, total_steps=1000, settle_steps=10_000)
    schedule.observe(50, results(16, 10))
    schedule.observe(910, results(GOAL, 8))
    assert schedule.plan().rate == pytest.approx(0.9 * 0.25)
    assert schedule.observe(940, results(GOAL, 2)) == "retreat"
    plan = schedule.plan()
    assert (plan.phase, plan.rate) == ("learn", pytest.approx(0.6 * 0.5)), "0.5 for the collapse"
    assert plan.span_rate == pytest.approx(0.6)
    schedule.observe(990, [])
    assert schedule.plan().span_rate == pytest.approx(0.1)


def test_a_run_that_settles_at_its_end_falls_to_zero_only_once() -> None:
    schedule = make_schedule(method="never", total_steps=1000)
    rates = []
    for steps in (955, 960, 980, 999, 1000):
        schedule.observe(steps, results(GOAL, 8 if steps < 960 else 10))
        rates.append(schedule.plan().rate)
    assert (schedule.phase, schedule.phase_start) == ("settle", 960)
    low = 0.25 * RATE_ONCE_SOLVED
    assert rates == pytest.approx([0.9 * 0.25, low, 0.5 * low, 0.025 * low, 0.0])


def test_rate_and_entropy_bonus_fall_to_zero_while_settling_and_lifetimes_stay() -> None:
    schedule = settling()
    plans = [schedule.plan()]
    for steps in (320, 345):
        schedule.observe(steps, [])
        plans.append(schedule.plan())
    assert [p.phase for p in plans] == ["settle"] * 3
    low = RATE_ONCE_SOLVED
    assert [p.rate / (0.25 * low) for p in plans] == pytest.approx([1.0, 0.6, 0.1])
    assert [p.entropy_cost / (0.01 * low) for p in plans] == pytest.approx([1.0, 0.6, 0.1])
    assert [p.span_rate for p in plans] == [0.0, 0.0, 0.0]


def test_learning_rate_and_entropy_bonus_fall_geometrically_with_the_curriculum() -> None:
    schedule = make_schedule(start=8)
    plans = {}
    for index in range(3):
        schedule.curriculum.go_to(index)
        plans[schedule.curriculum.level] = schedule.plan()
    assert list(plans) == [8, 16, 32]
    assert [p.rate for p in plans.values()] == pytest.approx([1, 0.5, 0.25])
    assert [p.entropy_cost for p in plans.values()] == pytest.approx([0.04, 0.02, 0.01])
    assert all(p.span_rate == 0 for p in plans.values()), "nothing was observed yet"


def test_a_collapse_lowers_the_learning_rate_until_the_level_is_mastered_again() -> None:
    schedule = make_schedule(start=8)
    rates, moves = [], []
    for level, successes in [(8, 10), (16, 0), (8, 10), (16, 10), (32, 5)]:
        moves.append(schedule.observe(0, results(level, successes)))
        rates.append(schedule.collapse_scale)
    assert moves == ["advance", "retreat", "advance", "advance", "retreat"]
    assert rates == [1.0, 0.5, 1.0, 1.0, 0.5], "and never above the initial one"


def test_learning_rate_and_entropy_bonus_fall_on_a_plateau_of_the_full_task() -> None:
    schedule = make_schedule(patience=100)
    updates = [(50, 8), (149, 8), (150, 8), (250, 8), (300, 6), (400, 8), (499, 8), (500, 8)]
    plans = []
    for steps, successes in updates:
        schedule.observe(steps, results(GOAL, successes))
        plans.append((schedule.plan().rate, schedule.plan().entropy_cost))
    scales = [1, 1, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125]
    assert plans == [(0.25 * x, pytest.approx(0.01 * x)) for x in scales]
    assert schedule.plan().span_rate == SPAN_RATE_OF_ONE_LEVEL, "lifetimes learn as fast as before"


def test_below_the_full_task_and_without_patience_a_plateau_changes_nothing() -> None:
    for schedule in (make_schedule(method="never"), make_schedule(start=16, patience=100)):
        level, before = schedule.curriculum.level, schedule.plan()
        for steps in range(0, 1000, 50):
            schedule.observe(steps, results(level, 8))
        assert schedule.plan() == before


def test_a_task_mastered_but_not_solved_settles_after_a_long_plateau() -> None:
    for window, successes, phase in ((20, 19, "settle"), (20, 18, "learn")):  # to advance: 19
        schedule = make_schedule(window=window, patience=100, method="never")
        schedule.config = replace(schedule.config, solved_at=0.99)
        for steps in (0, 100, 200, 299):
            schedule.observe(steps, results(GOAL, successes, window))
            assert schedule.phase == "learn"
        schedule.observe(300, results(GOAL, successes, window))
        assert (schedule.plateau_scale, schedule.phase) == (0.125, phase)
        assert schedule.solved_step is None
        schedule.observe(350, results(GOAL, successes, window))
        assert schedule.phase == ("end" if phase == "settle" else "learn")


def test_a_move_ends_the_plateau() -> None:
    schedule = make_schedule(start=16, patience=100)
    schedule.observe(50, results(16, 10))
    for steps in (100, 150, 250):
        schedule.observe(steps, results(GOAL, 8))
    assert schedule.plan().rate == 0.125
    assert schedule.observe(300, results(GOAL, 2)) == "retreat"
    assert schedule.plan().rate == 0.5, "the factor of the collapse alone"
