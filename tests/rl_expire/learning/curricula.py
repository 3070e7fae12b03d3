"""Curricula for the tests."""

from rl_expire.learning.curriculum import (
    Curriculum,
    CurriculumConfig,
    Level,
    Result,
    ladder,
)

CONFIG = CurriculumConfig(start=8, growth=1.5, advance_at=0.75, retreat_at=0.5, window=4)
LONG = CurriculumConfig(advance_at=0.95, retreat_at=0.7, window=256)
AT_ONCE, SLOWLY = [1.0] * 128, [1.0] * 246 + [0.0] * 10
"""Episodes that master a level of `LONG` before the window is full, and only then."""


def curriculum_to(goal: int) -> Curriculum:
    steps = ladder(CONFIG.start, goal, CONFIG.growth)
    return Curriculum([Level(step, {"max_length": step}) for step in steps], CONFIG)


def finish(
    curriculum: Curriculum, *successes: float, difficulty: float | None = None
) -> str | None:
    """Report episodes, by default of the hardest kind, and return the move they lead to."""
    difficulty = curriculum.level if difficulty is None else difficulty
    curriculum.observe(Result(difficulty, success, 0.0) for success in successes)
    return curriculum.move()


def long_curriculum(levels: int = 40, new: tuple[int, ...] = ()) -> Curriculum:
    """Return a curriculum that can judge a level before its window is full."""
    return Curriculum([Level(8 + n, {}, new=n in new) for n in range(levels)], LONG)
