"""Schedules, results of episodes and memory use for the tests of the schedule."""

import math
from dataclasses import replace
from typing import Any

from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, Result, ladder
from rl_expire.learning.memory_price import (
    SETTLED_STEPS,
    MemoryUse,
)
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


def at_fourth_level() -> Schedule:
    """Return a schedule that reached the fourth of six levels; lifetimes are 4 nats at step 4."""
    schedule = make_schedule(start=1, total_steps=LARGE)
    for n in range(3):
        schedule.observe(n + 1, results(2**n, 10), use(1.0))
    schedule.observe(4, [], use(4.0))
    assert (schedule.curriculum.level, schedule.forgetting) == (8, True)
    return schedule
