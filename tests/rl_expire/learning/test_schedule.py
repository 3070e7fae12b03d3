"""The schedule: the phases of a run, its learning rates, and when lifetimes learn."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, Result, ladder
from rl_expire.learning.goal import STALLED_STEPS
from rl_expire.learning.memory_price import (
    DOUBLING_STEPS,
    FEWEST_CHOICES,
    MISSED,
    QUIET_STEPS,
    SETTLED_STEPS,
    MemoryPrice,
    MemoryUse,
)
from rl_expire.learning.schedule import RATE_ONCE_SOLVED, LearningConfig, Schedule

GOAL, WINDOW = 32, 10
LEARNING = LearningConfig(
    solved_at=0.9,
    settle_steps=50,
    entropy_start=0.04,
    entropy_end=0.01,
    rate_end=0.25,
    rate_after_collapse=0.5,
)
LARGE = 10_000_000
"""Environment steps of a run that is not over when its memory settles."""


def make_schedule(
    start: int = GOAL, window: int = WINDOW, method: Any = "distillation", **options: Any
) -> Schedule:
    levels = [Level(step, {}) for step in ladder(start, GOAL, 2.0)]
    curriculum = Curriculum(levels, CurriculumConfig(window=window))
    own = {name: options.pop(name) for name in ("patience", "settle_steps") if name in options}
    learning = replace(LEARNING, **own)
    return Schedule(curriculum, learning, method=method, **({"total_steps": 10_000} | options))


def results(level: int, successes: int, count: int = WINDOW) -> list[Result]:
    """Return the results of `count` episodes, the first `successes` of them solved."""
    return [Result(level, float(n < successes), 0.0) for n in range(count)]


def many(level: int, successes: int) -> list[Result]:
    """Return so many results that they show all that the update's steps can show."""
    return 20 * results(level, successes)


def use(length: float = 3.0, missed: float = 0.0, choices: float = 100.0) -> MemoryUse:
    """Return what an update found out about memory, by default that nothing is missed."""
    return MemoryUse(length, missed, choices)


def returns(*values: float) -> list[Result]:
    """Return the results of a window of episodes of unknown success, with these returns in turn."""
    return [Result(GOAL, math.nan, values[n % len(values)]) for n in range(WINDOW)]


def forgetting(successes: int = 10, **options: Any) -> Schedule:
    """Return a schedule whose lifetimes learn from step 100 on, and are 3 nats at step 200."""
    schedule = make_schedule(**options)
    schedule.observe(100, results(GOAL, 10), use(4.0))
    schedule.observe(200, results(GOAL, successes), use(3.0))
    assert (schedule.phase, schedule.forgetting) == ("learn", True)
    return schedule


def settling() -> Schedule:
    """Return a schedule that settles from step 300 on, while lifetimes learn too."""
    schedule = forgetting(total_steps=LARGE)
    schedule.price.good_steps = float(SETTLED_STEPS)
    schedule.observe(300, results(GOAL, 10), use(3.0))
    assert (schedule.phase, schedule.phase_start) == ("settle", 300)
    return schedule


def test_phases_follow_each_other_once_the_full_task_is_solved() -> None:
    schedule = make_schedule(start=16, method="never")
    phases = []
    updates = [(50, 16, 10), (100, GOAL, 8), (150, GOAL, 9), (199, GOAL, 9), (200, GOAL, 9)]
    for steps, level, successes in updates:
        schedule.observe(steps, results(level, successes))
        phases.append(schedule.plan().phase)
    assert phases == ["learn", "learn", "settle", "settle", "end"]
    assert (schedule.solved_step, schedule.remaining_steps) == (150, 0)


def test_where_memory_is_learned_a_solved_task_settles_once_memory_has() -> None:
    schedule = forgetting(total_steps=LARGE)
    settled = 200 + SETTLED_STEPS
    schedule.observe(settled - 1, many(GOAL, 10), use())
    assert (schedule.phase, schedule.solved_step) == ("learn", 100)
    schedule.observe(settled, many(GOAL, 10), use())
    assert (schedule.phase, schedule.remaining_steps) == ("settle", 50)
    schedule.observe(settled + 50, [], use())
    assert (schedule.phase, schedule.remaining_steps) == ("end", 0)


def test_lifetimes_that_become_shorter_are_learned_further() -> None:
    schedule = forgetting(total_steps=LARGE)
    for steps in (SETTLED_STEPS, 200 + SETTLED_STEPS, 2 * SETTLED_STEPS - 1):
        schedule.observe(steps, many(GOAL, 10), use(2.0))
        assert schedule.phase == "learn"
    schedule.observe(2 * SETTLED_STEPS, many(GOAL, 10), use(2.0))
    assert schedule.phase == "settle"


def test_steps_at_a_score_below_the_goal_do_not_settle_memory() -> None:
    schedule = forgetting(total_steps=LARGE)
    schedule.observe(10 * SETTLED_STEPS, many(GOAL, 8), use())
    schedule.observe(10 * SETTLED_STEPS + 1, many(GOAL, 10), use())
    assert (schedule.phase, schedule.solved()) == ("learn", True)
    schedule.observe(11 * SETTLED_STEPS + 1, many(GOAL, 10), use())
    assert schedule.phase == "settle"


def test_updates_without_episodes_do_not_settle_memory() -> None:
    schedule = forgetting(total_steps=LARGE)
    schedule.observe(10 * SETTLED_STEPS, [], use())
    assert schedule.phase == "learn"
    easier = [Result(GOAL / 2, 1.0, 0.0)] * 1000
    schedule.observe(20 * SETTLED_STEPS, easier, use())
    assert schedule.phase == "learn", "nor do episodes of the easier half"
    schedule.observe(30 * SETTLED_STEPS, many(GOAL, 10), use())
    assert schedule.phase == "settle"


def test_a_memory_that_has_settled_does_not_end_the_learning_of_an_unsolved_task() -> None:
    schedule = forgetting(total_steps=LARGE)
    schedule.price.good_steps = 2.0 * SETTLED_STEPS
    schedule.observe(200, many(GOAL, 8), use())
    assert schedule.price.settled
    assert schedule.phase == "learn"
    schedule.observe(300, many(GOAL, 9), use())
    assert schedule.phase == "settle"


@pytest.mark.parametrize(("start", "phase"), [(GOAL, "settle"), (16, "learn")])
def test_a_task_of_several_levels_settles_only_once_it_is_known_that_nothing_is_missed(
    start: int, phase: str
) -> None:
    schedule = make_schedule(start=start, total_steps=LARGE)
    schedule.observe(50, results(start, 10))
    for steps in (1000, 1000 + 2 * SETTLED_STEPS):
        schedule.observe(steps, many(GOAL, 10), use(choices=FEWEST_CHOICES / 2 - 1))
    assert schedule.price.settled
    assert schedule.phase == phase
    schedule.observe(1001 + 2 * SETTLED_STEPS, many(GOAL, 10), use(choices=2))
    assert schedule.phase == "settle"


@pytest.mark.parametrize(("mastered", "forgets"), [(0, False), (2, False), (3, True), (4, True)])
def test_lifetimes_begin_to_learn_after_three_mastered_levels(mastered: int, forgets: bool) -> None:
    schedule = make_schedule(start=1, total_steps=LARGE)  # levels 1, 2, 4, 8, 16 and 32
    for n in range(mastered):
        schedule.observe(2 * QUIET_STEPS * n + 1, [], use())
        assert schedule.observe(2 * QUIET_STEPS * (n + 1), results(2**n, 10), use()) == "advance"
    schedule.observe(2 * QUIET_STEPS * mastered + 100, results(2**mastered, 6), use())
    assert schedule.forgetting == forgets
    assert schedule.plan().span_rate == float(forgets)


def at_fourth_level() -> Schedule:
    """Return a schedule that reached the fourth of six levels; lifetimes are 4 nats at step 4."""
    schedule = make_schedule(start=1, total_steps=LARGE)
    for n in range(3):
        schedule.observe(n + 1, results(2**n, 10), use(1.0))
    schedule.observe(4, [], use(4.0))
    assert (schedule.curriculum.level, schedule.forgetting) == (8, True)
    return schedule


def test_while_forgetting_a_level_is_left_only_once_memory_is_quiet() -> None:
    schedule = at_fourth_level()
    moves = []
    for steps, length in [
        *((100, 4.0), (QUIET_STEPS - 1, 3.0), (QUIET_STEPS + 4, 3.0)),
        *((2 * QUIET_STEPS - 2, 3.0), (2 * QUIET_STEPS - 1, 3.0)),
    ]:
        moves.append(schedule.observe(steps, results(8, 10), use(length)))
    assert moves == [None, None, None, None, "advance"]
    assert schedule.observe(2 * QUIET_STEPS, results(16, 10), use(5.0)) is None
    assert schedule.observe(3 * QUIET_STEPS, results(16, 10), use(5.0)) == "advance"


def test_while_forgetting_a_level_is_left_only_once_hardly_anything_is_missed() -> None:
    schedule = at_fourth_level()
    moves = []
    for n, missed in enumerate((10 * MISSED, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)):
        steps = (n + 1) * QUIET_STEPS + 4
        before = schedule.price.ready(steps)
        moves.append(schedule.observe(steps, results(8, 9 if n == 0 else 10), use(4.0, missed)))
        assert (moves[-1] == "advance") == (before and n > 0)
        if moves[-1] == "advance":
            break
    assert set(moves[:3]) == {None}
    assert moves[-1] == "advance"


def test_while_forgetting_a_level_is_left_only_once_there_were_enough_choices() -> None:
    schedule = at_fourth_level()
    schedule.price.choices = FEWEST_CHOICES - 2.0
    steps, moves = QUIET_STEPS + 4, []
    for n in range(3):
        moves.append(schedule.observe(steps + n, results(8, 10), use(4.0, choices=1)))
    assert moves == [None, None, "advance"], "the choices of an update count in the next one"


def test_memory_at_the_level_that_is_left_does_not_count_at_the_next_one() -> None:
    schedule = at_fourth_level()
    assert schedule.observe(QUIET_STEPS + 4, results(8, 10), use(3.0)) == "advance"
    schedule.observe(QUIET_STEPS + 100, [], use(6.0, 0.01, 50.0))
    price = schedule.price
    assert (price.least_length, price.least_step) == (6.0, QUIET_STEPS + 100)
    assert (price.missed, price.choices) == (0.5, 50.0)


def test_while_forgetting_a_level_that_is_lost_is_left_at_once() -> None:
    schedule = at_fourth_level()
    assert schedule.observe(100, results(8, 0), use(3.0)) == "retreat"


def test_an_update_that_tells_nothing_of_memory_is_observed_too() -> None:
    schedule = at_fourth_level()
    before = schedule.price.state_dict()
    schedule.observe(100, results(8, 9))
    assert schedule.price.state_dict() == before


@pytest.mark.parametrize("method", ["joint", "never"])
def test_without_forgetting_memory_need_not_be_quiet(method: str) -> None:
    schedule = make_schedule(start=1, method=method)
    for n in range(5):
        assert schedule.observe(n + 1, results(2**n, 10), use(4.0 - 0.5 * n)) == "advance"


def test_memory_of_a_lesson_does_not_count_at_the_full_task() -> None:
    """Lifetimes are shorter there, since episodes are."""
    schedule = make_schedule(start=16, total_steps=LARGE)
    schedule.observe(50, results(16, 10), use(1.0))
    for steps in (1000, SETTLED_STEPS, SETTLED_STEPS + 999):
        schedule.observe(steps, many(GOAL, 10), use(4.0))
        assert schedule.phase == "learn"
    assert (schedule.price.least_length, schedule.price.least_step) == (4.0, 1000)
    schedule.observe(SETTLED_STEPS + 1000, many(GOAL, 10), use(4.0))
    assert schedule.phase == "settle"


@pytest.mark.parametrize(("start", "mastered"), [(16, 1), (8, 2)])
def test_with_few_levels_lifetimes_begin_to_learn_at_the_full_task(
    start: int, mastered: int
) -> None:
    schedule = make_schedule(start=start)
    began = []
    for n in range(mastered + 1):
        began.append(schedule.forgetting)
        schedule.observe(100 * (n + 1), results(start * 2**n, 10))
    assert began == [False] * mastered + [True]


@pytest.mark.parametrize(("successes", "forgets"), [(6, False), (7, True), (10, True)])
def test_in_a_task_of_one_level_lifetimes_begin_to_learn_near_the_goal(
    successes: int, forgets: bool
) -> None:
    schedule = make_schedule()
    schedule.observe(100, results(GOAL, successes))
    assert schedule.forgetting == forgets


@pytest.mark.parametrize(
    ("threshold", "near", "far"), [(100.0, 71.0, 69.0), (-100.0, -129.0, -131.0)]
)
def test_near_the_goal_is_a_share_of_the_threshold_where_success_is_unknown(
    threshold: float, near: float, far: float
) -> None:
    schedule = make_schedule(reward_threshold=threshold)
    schedule.observe(100, returns(far))
    assert not schedule.forgetting
    schedule.observe(200, returns(near))
    assert schedule.forgetting


def test_without_a_known_goal_lifetimes_begin_to_learn_once_the_return_has_stalled() -> None:
    schedule = make_schedule(total_steps=LARGE)
    for steps, value in ((100, 5.0), (200, 50.0), (200 + STALLED_STEPS - 1, 50.0)):
        schedule.observe(steps, returns(value))
        assert not schedule.forgetting
    schedule.observe(200 + STALLED_STEPS, returns(50.0))
    assert schedule.forgetting
    assert schedule.phase == "learn"


def test_lifetimes_go_on_learning_after_a_collapse() -> None:
    schedule = make_schedule(start=16)
    schedule.observe(50, results(16, 10))
    assert schedule.observe(100, results(GOAL, 2)) == "retreat"
    assert (schedule.curriculum.level, schedule.forgetting) == (16, True)
    assert schedule.plan().span_rate == 1.0
    single = forgetting(total_steps=LARGE)
    single.observe(300, results(GOAL, 0))
    assert single.plan().span_rate == 1.0


@pytest.mark.parametrize("method", ["joint", "never"])
@pytest.mark.parametrize("start", [GOAL, 1])
def test_other_methods_never_forget(method: str, start: int) -> None:
    schedule = make_schedule(start=start, method=method)
    plans = []
    for n, level in enumerate((*ladder(start, GOAL, 2.0), GOAL, GOAL)):
        schedule.observe(100 * n, results(level, 10), use())
        plans.append(schedule.plan())
    schedule.observe(10_000, results(GOAL, 10), use())
    assert schedule.curriculum.at_goal
    assert not schedule.forgetting
    assert {(plan.span_rate, plan.price) for plan in (*plans, schedule.plan())} == {(0.0, 1.0)}


@pytest.mark.parametrize(
    ("best", "expected"),
    [(10, [2.0, 4.0, 4.0, 8.0, 4.0, 2.0]), (8, [1.0] * 6)],
    ids=["solved", "not yet solved"],
)
def test_the_price_rises_while_the_task_is_solved_and_falls_once_it_no_longer_is(
    best: int, expected: list[float]
) -> None:
    schedule = make_schedule(total_steps=LARGE)
    prices, steps = [], 100
    schedule.observe(steps, results(GOAL, best))
    for n, lost in enumerate((0, 0, 2, 0, 3, 8)):
        steps += DOUBLING_STEPS
        schedule.observe(steps, many(GOAL, best - lost), use(20.0 - n))
        prices.append(schedule.plan().price)
    assert schedule.phase == "learn"
    assert prices == pytest.approx(expected)


def test_the_price_falls_while_memories_are_missed_and_follows_the_episodes() -> None:
    schedule = make_schedule(total_steps=LARGE)
    prices, steps = [], 100
    schedule.observe(steps, results(GOAL, 10))
    for n, missed in enumerate((0.0, 0.0, 10 * MISSED, 0.0, 0.0)):
        steps += DOUBLING_STEPS
        schedule.observe(steps, many(GOAL, 10), use(20.0 - n, missed))
        prices.append(schedule.plan().price)
    assert prices == pytest.approx([2.0, 4.0, 8.0, 4.0, 2.0]), "from the next update on"
    schedule.price.begin_level(steps)
    schedule.observe(steps + DOUBLING_STEPS, results(GOAL, 32, 32), use())
    assert schedule.plan().price == pytest.approx(2.0 * 2**0.5), "64 episodes would double it"


def test_the_price_stays_below_the_full_task_and_until_its_score_is_known() -> None:
    schedule = make_schedule(start=1, total_steps=LARGE)
    for n in range(4):
        schedule.observe(n + 1, many(2**n, 10), use())
    assert (schedule.forgetting, schedule.curriculum.at_goal) == (True, False)
    assert schedule.observe(DOUBLING_STEPS, many(8, 10), use()) == "advance"
    schedule.observe(2 * DOUBLING_STEPS, many(16, 9), use())
    assert schedule.plan().price == 1.0
    assert schedule.observe(3 * DOUBLING_STEPS, many(16, 10), use()) == "advance"
    schedule.observe(4 * DOUBLING_STEPS, results(GOAL, 9, count=WINDOW - 1), use())
    assert (schedule.curriculum.at_goal, schedule.plan().price) == (True, 1.0)
    schedule.observe(5 * DOUBLING_STEPS, many(GOAL, 9), use())
    assert schedule.plan().price == pytest.approx(2.0)


def test_without_a_known_goal_the_price_rises_while_what_was_gained_is_kept() -> None:
    schedule = make_schedule(total_steps=LARGE)
    for steps, value in ((100, 0.0), (200, 100.0), (200 + STALLED_STEPS, 100.0)):
        schedule.observe(steps, returns(value), use())
    prices, steps = [], schedule.steps
    for value in (96.0, 96.0, 94.0):  # it may lose 5 % of what was gained
        steps += DOUBLING_STEPS
        schedule.observe(steps, 20 * returns(value), use())
        prices.append(schedule.plan().price)
    assert prices == pytest.approx([2.0, 4.0, 2.0])


def test_the_price_stays_while_settling() -> None:
    schedule = settling()
    schedule.price.factor = 8.0
    state = schedule.price.state_dict()
    schedule.observe(340, many(GOAL, 0), use(1.0))
    assert (schedule.phase, schedule.plan().price) == ("settle", 8.0)
    assert schedule.price.state_dict() == state


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
    spans = float(method == "distillation" and successes == 8)
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


@pytest.mark.parametrize("successes", [8, 9])
def test_settling_that_the_budget_cut_short_goes_on_with_a_larger_one(successes: int) -> None:
    schedule = make_schedule(method="never", total_steps=1000)
    schedule.observe(980, results(GOAL, 9))
    schedule.observe(1000, results(GOAL, successes))
    assert (schedule.phase, schedule.phase_done, schedule.remaining_steps) == ("settle", 1.0, 0)
    larger = make_schedule(method="never")
    larger.load_state_dict(schedule.state_dict())
    assert (larger.phase, larger.phase_done, larger.remaining_steps) == ("settle", 0.4, 30)
    larger.observe(1030, [])
    assert larger.phase == ("end" if successes == 9 else "learn")


@pytest.mark.parametrize("method", ["distillation", "joint"])
def test_a_solved_run_whose_budget_was_spent_before_it_had_finished_goes_on_with_a_larger_one(
    method: str,
) -> None:
    schedule = make_schedule(total_steps=1000, method=method)
    for steps in (100, 950, 1000):
        schedule.observe(steps, results(GOAL, 10), use())
    assert not schedule._finished_learning()
    assert (schedule.phase, schedule.remaining_steps) == ("learn", 0)
    larger = make_schedule(method=method)
    larger.load_state_dict(schedule.state_dict())
    assert (larger.phase, larger.remaining_steps) == ("learn", 9000)
    assert larger.plan().rate == 0.25 * RATE_ONCE_SOLVED


def test_learning_that_used_up_the_budget_goes_on_at_full_rates_with_a_larger_one() -> None:
    schedule = make_schedule(total_steps=1000)
    for steps in (950, 1000):
        schedule.observe(steps, results(GOAL, 8))
    assert (schedule.phase, schedule.remaining_steps) == ("learn", 0)
    plan = schedule.plan()
    assert (plan.rate, plan.entropy_cost, plan.span_rate) == (0.0, 0.0, 0.0)
    larger = make_schedule()
    larger.load_state_dict(schedule.state_dict())
    assert (larger.phase, larger.remaining_steps) == ("learn", 9000)
    plan = larger.plan()
    assert (plan.rate, plan.entropy_cost, plan.span_rate) == (0.25, pytest.approx(0.01), 1.0)
    assert larger.state_dict() == schedule.state_dict(), "nothing of the last steps is kept"


def test_all_rates_and_the_entropy_bonus_fall_to_zero_while_settling() -> None:
    schedule = settling()
    plans = [schedule.plan()]
    for steps in (320, 345):
        schedule.observe(steps, [])
        plans.append(schedule.plan())
    assert [p.phase for p in plans] == ["settle"] * 3
    low = RATE_ONCE_SOLVED
    assert [p.rate / (0.25 * low) for p in plans] == pytest.approx([1.0, 0.6, 0.1])
    assert [p.entropy_cost / (0.01 * low) for p in plans] == pytest.approx([1.0, 0.6, 0.1])
    assert [p.span_rate for p in plans] == pytest.approx([1.0, 0.6, 0.1])
    assert len({p.price for p in plans}) == 1


def test_a_collapse_while_settling_and_forgetting_leads_back_to_full_rates() -> None:
    schedule = settling()
    schedule.observe(345, results(GOAL, 0))
    assert schedule.phase == "settle"
    schedule.observe(350, results(GOAL, 0))
    plan = schedule.plan()
    assert (plan.phase, plan.rate, plan.span_rate) == ("learn", 0.25, 1.0)
    assert schedule.solved_step is None


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
    assert schedule.plan().span_rate == 1.0, "lifetimes learn as fast as before"


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


PHASES = ["learn", "forgetting", "settling", "end"]


def schedule_in(phase: str) -> Schedule:
    """Return a schedule in a phase, after advances, a retreat and a change of the price."""
    method = "never" if phase == "end" else "distillation"
    schedule = make_schedule(start=8, total_steps=LARGE, method=method, patience=100)
    moves = [(8, 10), (16, 0), (8, 10), (16, 10)]
    for level, successes in moves[:3] if phase == "learn" else moves:
        schedule.observe(60, results(level, successes), use(4.0))
    if phase != "learn":
        schedule.observe(120, results(GOAL, 10), use(3.0, 0.01))
        schedule.observe(170, results(GOAL, 9), use(2.9, 0.02))
    if phase == "settling":
        schedule.price.good_steps = float(SETTLED_STEPS)
        schedule.observe(170 + QUIET_STEPS, results(GOAL, 9), use(2.9))
    expected = {
        "learn": ("learn", False),
        "forgetting": ("learn", True),
        "settling": ("settle", True),
        "end": ("end", False),
    }
    assert (schedule.phase, schedule.forgetting) == expected[phase]
    return schedule


@pytest.mark.parametrize("phase", PHASES)
def test_a_restored_schedule_continues_as_the_original_does(phase: str) -> None:
    schedule = schedule_in(phase)
    restored = make_schedule(start=8, total_steps=LARGE, method=schedule.method, patience=100)
    restored.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert restored.plan() == schedule.plan()
    assert restored.remaining_steps == schedule.remaining_steps
    assert restored.solved_step == schedule.solved_step
    assert repr(restored.state_dict()) == repr(schedule.state_dict()), "repr, because NaN != NaN"
    level = schedule.curriculum.level
    steps = schedule.steps + 20
    moved = [x.observe(steps, results(level, 2), use(1.0)) for x in (schedule, restored)]
    assert moved == [None if phase == "end" else "retreat"] * 2
    assert repr(restored.state_dict()) == repr(schedule.state_dict())
    assert restored.plan() == schedule.plan()


BAD: list[tuple[str, Any, str]] = [
    *(("phase", value, "phase is not one of learn, settle, end") for value in ("forget", None, 1)),
    *(("forgetting", value, "forgetting is not true or false") for value in (1, None, "yes")),
    *((name, -1, f"{name} is ") for name in ("phase_start", "steps", "solved_step")),
    *((name, None, f"{name} is ") for name in ("phase_start", "steps", "plateau_scale")),
    *(("plateau_start", value, "plateau_start is ") for value in (1.5, -1, 2**70, True)),
    *(("collapse_scale", value, "collapse_scale is ") for value in (2.0, -0.1, math.nan, 1)),
    *((name, value, "") for name in ("curriculum", "goal", "price") for value in (None, {}, [])),
    ("goal", {"first": math.nan, "best": 1.0, "best_step": 3}, "goal/first is "),
    ("price", MemoryPrice().state_dict() | {"factor": 0.0}, "price/factor is "),
    ("price", MemoryPrice().state_dict() | {"missed": -1.0}, "price/missed is "),
]


@pytest.mark.parametrize(("key", "value", "problem"), BAD)
def test_a_bad_state_is_refused_in_one_line(key: str, value: Any, problem: str) -> None:
    state = schedule_in("forgetting").state_dict()
    schedule = make_schedule(start=8)
    with pytest.raises(ValueError, match=problem or key) as caught:
        schedule.load_state_dict(state | {key: value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["phase", "forgetting", "steps", "curriculum", "goal", "price"])
def test_a_state_that_lacks_something_or_has_more_is_refused(key: str) -> None:
    state = schedule_in("forgetting").state_dict()
    with pytest.raises(ValueError, match=f"schedule lacks {key}"):
        make_schedule(start=8).load_state_dict({k: v for k, v in state.items() if k != key})
    with pytest.raises(ValueError, match="schedule has unknown keys: reference"):
        make_schedule(start=8).load_state_dict(state | {"reference": 1.0})
