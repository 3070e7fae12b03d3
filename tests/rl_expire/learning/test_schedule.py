"""The schedule: the phases of a run, its learning rates, and the weight of the span penalty."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, Result, ladder
from rl_expire.learning.schedule import LearningConfig, Schedule

GOAL, WINDOW = 32, 10
LEARNING = LearningConfig(
    solved_at=0.9,
    settle_steps=50,
    entropy_start=0.04,
    entropy_end=0.01,
    rate_end=0.25,
    rate_after_collapse=0.5,
)


def make_schedule(start: int = GOAL, window: int = WINDOW, **options: Any) -> Schedule:
    levels = [Level(step, {}) for step in ladder(start, GOAL, 2.0)]
    curriculum = Curriculum(levels, CurriculumConfig(window=window))
    learning = replace(LEARNING, patience=options.pop("patience", None))
    sizes = {"total_steps": 10_000, "forget_steps": 1000, "tolerance": 0.1} | options
    return Schedule(curriculum, learning, **sizes)


def results(level: int, successes: int, count: int = WINDOW) -> list[Result]:
    """Return the results of `count` episodes, the first `successes` of them solved."""
    return [Result(level, float(n < successes), 0.0) for n in range(count)]


def returns(*values: float) -> list[Result]:
    """Return the results of a window of episodes of unknown success, with these returns in turn."""
    return [Result(GOAL, math.nan, values[n % len(values)]) for n in range(WINDOW)]


def forgetting(score: float = 1.0, window: int = WINDOW, **options: Any) -> Schedule:
    """Return a schedule that began to forget at step 150, with success rate `score`."""
    schedule = make_schedule(window=window, **options)
    schedule.observe(100, results(GOAL, round(score * window), window))
    schedule.observe(150, [])
    assert (schedule.phase, schedule.reference) == ("forget", score)
    return schedule


def test_phases_follow_each_other_once_the_full_task_is_solved() -> None:
    schedule = make_schedule(start=16)
    phases = []
    updates = [(50, 16, 10), (100, GOAL, 8), (150, GOAL, 9), (199, GOAL, 9), (200, GOAL, 9)]
    for steps, level, successes in updates:
        schedule.observe(steps, results(level, successes))
        phases.append(schedule.plan().phase)
    assert phases == ["learn", "learn", "settle", "settle", "forget"]
    assert (schedule.solved_step, schedule.reference) == (150, 0.9)
    schedule.observe(1199, [])
    assert schedule.phase == "forget"
    schedule.observe(1200, [])
    assert (schedule.phase, schedule.remaining_steps) == ("end", 0)


def test_a_task_that_was_solved_by_chance_is_learned_further() -> None:
    schedule = make_schedule()
    schedule.observe(100, results(GOAL, 9))
    schedule.observe(150, results(GOAL, 8))
    assert (schedule.phase, schedule.plan().rate, schedule.solved_step) == ("learn", 0.25, None)
    schedule.observe(250, results(GOAL, 9))
    assert (schedule.phase, schedule.solved_step) == ("settle", 250)


def test_a_collapse_while_settling_returns_to_learning() -> None:
    schedule = make_schedule(start=16)
    schedule.observe(50, results(16, 10))
    schedule.observe(100, results(GOAL, 9))
    assert schedule.observe(120, results(GOAL, 2)) == "retreat"
    assert (schedule.phase, schedule.curriculum.level) == ("learn", 16)
    assert schedule.solved_step is None


@pytest.mark.parametrize("forget_steps", [1000, None], ids=["forgetting", "joint"])
def test_a_task_is_solved_no_longer_after_a_collapse(forget_steps: int | None) -> None:
    schedule = make_schedule(forget_steps=forget_steps)
    schedule.observe(100, results(GOAL, 10))
    schedule.observe(150, [])
    assert schedule.phase == ("learn" if forget_steps is None else "forget")
    schedule.observe(200, results(GOAL, 7))
    assert schedule.solved_step == 100, "a score that is somewhat lower is none"
    schedule.observe(250, results(GOAL, 6))
    assert schedule.solved_step is None
    schedule.observe(300, results(GOAL, 9))
    assert schedule.solved_step == 300


def test_where_success_is_unknown_the_mean_return_has_to_reach_the_threshold() -> None:
    schedule = make_schedule(reward_threshold=1.0)  # solved at 0.9 of it
    for steps, values in [(100, (2.0, 0.0, 0.0, 2.0, 0.0)), (200, (2.0, 0.0, 0.8, 0.8, 0.8))]:
        schedule.observe(steps, returns(*values))
        assert schedule.phase == "learn"
    schedule.observe(300, returns(2.0, 0.0, 0.0, 2.0, 0.5))  # most episodes are below it
    assert (schedule.phase, schedule.solved_step) == ("settle", 300)
    schedule.observe(350, [])
    assert (schedule.phase, schedule.reference) == ("forget", pytest.approx(0.9))
    assert make_schedule().observe(100, returns(9.0)) is None


@pytest.mark.parametrize(
    ("threshold", "reference", "lower"), [(475.0, 500.0, 475.0), (-100.0, -80.0, -84.0)]
)
def test_the_span_penalty_falls_with_the_return_lost(
    threshold: float, reference: float, lower: float
) -> None:
    schedule = make_schedule(reward_threshold=threshold)
    schedule.observe(100, returns(reference))
    schedule.observe(150, [])
    assert (schedule.phase, schedule.plan().alpha_share) == ("forget", 1.0)
    schedule.observe(160, returns(lower))  # 5 % of the reference, with tolerance 0.1
    assert schedule.plan().alpha_share == pytest.approx(0.5)
    assert schedule.solved_step == 100
    schedule.observe(170, returns(threshold - 0.4 * abs(threshold)))
    assert (schedule.plan().alpha_share, schedule.solved_step) == (0.0, None)


def test_success_counts_before_the_return() -> None:
    schedule = make_schedule(reward_threshold=1.0)
    schedule.observe(100, [Result(GOAL, 0.0, 100.0)] * WINDOW)
    assert schedule.phase == "learn"
    told_once = [Result(GOAL, 1.0 if n == 0 else math.nan, 100.0) for n in range(WINDOW)]
    schedule.observe(200, told_once)
    assert (schedule.phase, schedule.curriculum.success) == ("learn", 0.1)


@pytest.mark.parametrize(("phase", "start"), [("settle", 100), ("forget", 150)])
def test_a_phase_that_the_budget_cut_short_goes_on_with_a_larger_one(
    phase: str, start: int
) -> None:
    schedule = make_schedule(total_steps=start + 20)
    for steps in (100, 150):
        if steps <= start:
            schedule.observe(steps, results(GOAL, 10))
    schedule.observe(start + 20, results(GOAL, 10))
    assert (schedule.phase, schedule.phase_done, schedule.remaining_steps) == (phase, 1.0, 0)
    larger = make_schedule()
    larger.load_state_dict(schedule.state_dict())
    left = {"settle": 50 - 20 + 1000, "forget": 1000 - 20}[phase]
    assert (larger.phase, larger.remaining_steps) == (phase, left)
    larger.observe(start + 20 + left, [])
    larger.observe(start + 20 + left + 1000, [])
    assert larger.phase == "end"


def test_steps_before_the_first_update_of_a_phase_count_but_do_not_shorten_it() -> None:
    schedule = forgetting()
    schedule.count_steps(40)
    assert (schedule.steps, schedule.phase_done, schedule.remaining_steps) == (190, 0.0, 1000)


def test_learning_rate_and_entropy_bonus_fall_to_zero_while_settling() -> None:
    schedule = make_schedule()
    schedule.observe(100, results(GOAL, 10))
    plans = []
    for steps in (100, 120, 145):
        schedule.observe(steps, [])
        plans.append(schedule.plan())
    assert [p.rate for p in plans] == pytest.approx([0.25, 0.6 * 0.25, 0.1 * 0.25])
    assert [p.entropy_cost for p in plans] == pytest.approx([0.01, 0.006, 0.001])
    assert all(p.alpha_share == 0 for p in plans)


def test_without_forgetting_steps_the_run_ends_after_settling() -> None:
    schedule = make_schedule(forget_steps=0)
    schedule.observe(100, results(GOAL, 10))
    assert (schedule.phase, schedule.remaining_steps) == ("settle", 50)
    schedule.observe(150, [])
    assert (schedule.phase, schedule.remaining_steps) == ("end", 0)


def test_without_a_forgetting_phase_learning_lasts_to_the_end() -> None:
    schedule = make_schedule(forget_steps=None)
    schedule.observe(100, results(GOAL, 10))
    assert (schedule.plan().phase, schedule.solved_step) == ("learn", 100)
    assert schedule.plan().alpha_share == 0
    schedule.observe(200, results(GOAL, 10))
    assert (schedule.solved_step, schedule.remaining_steps) == (100, 9800), "the first time counts"


def test_learning_rate_and_entropy_bonus_fall_geometrically_with_the_curriculum() -> None:
    schedule = make_schedule(start=8)
    plans = {}
    for index in range(3):
        schedule.curriculum.go_to(index)
        plans[schedule.curriculum.level] = schedule.plan()
    assert list(plans) == [8, 16, 32]
    assert [p.rate for p in plans.values()] == pytest.approx([1, 0.5, 0.25])
    assert [p.entropy_cost for p in plans.values()] == pytest.approx([0.04, 0.02, 0.01])
    assert all(p.alpha_share == 0 for p in plans.values()), "no span penalty while learning"


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


def test_below_the_full_task_and_without_patience_a_plateau_changes_nothing() -> None:
    for schedule in (make_schedule(), make_schedule(start=16, patience=100)):
        level, before = schedule.curriculum.level, schedule.plan()
        for steps in range(0, 1000, 50):
            schedule.observe(steps, results(level, 8))
        assert schedule.plan() == before


def test_a_task_mastered_but_not_solved_settles_after_a_long_plateau() -> None:
    for window, successes, phase in ((20, 19, "settle"), (20, 18, "learn")):  # to advance: 19
        schedule = make_schedule(window=window, patience=100)
        schedule.config = replace(schedule.config, solved_at=0.99)
        for steps in (0, 100, 200, 299):
            schedule.observe(steps, results(GOAL, successes, window))
            assert schedule.phase == "learn"
        schedule.observe(300, results(GOAL, successes, window))
        assert (schedule.plateau_scale, schedule.phase) == (0.125, phase)
        assert schedule.solved_step is None
        schedule.observe(350, results(GOAL, successes, window))
        assert schedule.phase == ("forget" if phase == "settle" else "learn")


def test_a_move_ends_the_plateau() -> None:
    schedule = make_schedule(start=16, patience=100)
    schedule.observe(50, results(16, 10))
    for steps in (100, 150, 250):
        schedule.observe(steps, results(GOAL, 8))
    assert schedule.plan().rate == 0.125
    assert schedule.observe(300, results(GOAL, 2)) == "retreat"
    assert schedule.plan().rate == 0.5, "the factor of the collapse alone"


def test_the_curriculum_does_not_move_while_forgetting() -> None:
    schedule = forgetting()
    assert schedule.observe(200, results(GOAL, 0)) is None
    assert (schedule.phase, schedule.curriculum.level) == ("forget", GOAL)
    assert schedule.collapse_scale == 1.0


@pytest.mark.parametrize(
    ("done", "rate"), [(0, 1.0), (0.6, 1.0), (0.7, 0.75), (0.8, 0.5), (0.96, 0.1)]
)
def test_the_learning_rate_of_spans_falls_at_the_end_and_their_penalty_does_not(
    done: float, rate: float
) -> None:
    schedule = forgetting()
    schedule.observe(150 + round(1000 * done), [])
    assert schedule.plan().span_rate == pytest.approx(rate)
    assert schedule.plan().alpha_share == 1.0


@pytest.mark.parametrize(
    ("successes", "share"),
    # 2 % lost of the reference 1.0, with tolerance 0.1: 1 - 0.02 / 0.1, and so on.
    [(50, 1.0), (49, 0.8), (47, 0.4), (45, 0.0), (40, 0.0)],
)
def test_the_span_penalty_falls_in_proportion_to_the_score_lost(
    successes: int, share: float
) -> None:
    schedule = forgetting(window=50)
    schedule.observe(151, results(GOAL, successes, 50))
    assert schedule.plan().alpha_share == pytest.approx(share)


def test_a_score_above_the_reference_does_not_raise_the_span_penalty() -> None:
    schedule = forgetting(0.9)
    schedule.observe(151, results(GOAL, 10))
    assert schedule.plan().alpha_share == 1.0


def test_remaining_steps_are_bounded_by_phases_and_budget() -> None:
    schedule = make_schedule()
    assert schedule.remaining_steps == 10_000
    schedule.observe(100, results(GOAL, 10))
    assert schedule.remaining_steps == 50 + 1000
    schedule.observe(150, [])
    assert schedule.remaining_steps == 1000
    schedule = make_schedule(total_steps=500)
    schedule.observe(100, results(GOAL, 10))
    assert schedule.remaining_steps == 400
    schedule.observe(600, [])
    assert schedule.remaining_steps == 0, "and are never negative"


@pytest.mark.parametrize("phase", ["learn", "settle", "forget"])
def test_a_restored_schedule_continues_as_the_original_does(phase: str) -> None:
    schedule = make_schedule(start=8)
    for level, successes in [(8, 10), (16, 0), (8, 10), (16, 10)]:
        schedule.observe(60, results(level, successes))
    schedule.observe(120, results(GOAL, 8 if phase == "learn" else 10))
    if phase == "forget":
        schedule.observe(170, [])
    schedule.observe(800 if phase == "forget" else 150, results(GOAL, 8))
    assert schedule.phase == phase
    restored = make_schedule(start=8)
    restored.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert restored.plan() == schedule.plan()
    assert restored.remaining_steps == schedule.remaining_steps
    assert restored.solved_step == schedule.solved_step
    moved = [x.observe(900, results(GOAL, 2)) for x in (schedule, restored)]
    assert moved == ([None] * 2 if phase == "forget" else ["retreat"] * 2)
    assert repr(restored.state_dict()) == repr(schedule.state_dict()), "repr, because NaN != NaN"
