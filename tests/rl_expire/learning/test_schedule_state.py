"""The schedule: what is saved, and how a run goes on when it is given more steps."""

import json
import math
from typing import Any

import pytest

from rl_expire.learning.memory_price import (
    QUIET_STEPS,
    SETTLED_STEPS,
    MemoryPrice,
)
from rl_expire.learning.schedule import RATE_ONCE_SOLVED, SPAN_RATE_OF_ONE_LEVEL, Schedule
from tests.rl_expire.learning.schedules import GOAL, LARGE, make_schedule, results, use


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
    assert (plan.rate, plan.entropy_cost) == (0.25, pytest.approx(0.01))
    assert plan.span_rate == SPAN_RATE_OF_ONE_LEVEL
    assert larger.state_dict() == schedule.state_dict(), "nothing of the last steps is kept"


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
