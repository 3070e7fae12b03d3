"""Raise a task's difficulty as it is mastered, step back when it is lost."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rl_expire.rollout import Episode

Move = Literal["advance", "retreat"]


@dataclass(frozen=True)
class CurriculumConfig:
    """How the task's longest episodes grow while training."""

    start: int = 4
    """The first level."""
    growth: float = 1.3
    """Factor from one level to the next."""
    advance_at: float = 0.95
    """Success on the upper half of the level at which it is raised."""
    retreat_at: float = 0.7
    """Success on the upper half below which it is lowered again."""
    window: int = 256
    """Episodes of the upper half over which success is measured."""

    def __post_init__(self) -> None:
        if self.start < 1:
            raise ValueError(f"--curriculum.start is {self.start}: choose 1 or more")
        if not 1 < self.growth < math.inf:
            raise ValueError(f"--curriculum.growth is {self.growth}: choose a factor above 1")
        if self.window < 1:
            raise ValueError(f"--curriculum.window is {self.window}: choose 1 or more")
        if not 0 < self.advance_at <= 1:
            raise ValueError(
                f"--curriculum.advance-at is {self.advance_at}: choose one above 0 and at most 1"
            )
        if not 0 <= self.retreat_at <= self.advance_at:
            raise ValueError(
                f"--curriculum.retreat-at is {self.retreat_at}: "
                f"choose one from 0 to --curriculum.advance-at, {self.advance_at}"
            )


class Curriculum:
    """The level reached, judged on episodes in its upper half: an average would hide the hardest.

    The level is a number such as the longest corridor; an episode's own `difficulty` is measured on
    the same scale.
    """

    def __init__(self, goal: int, config: CurriculumConfig):
        self.goal, self.config = goal, config
        self.level = min(config.start, goal)
        self.passed: list[int] = []
        self._recent: deque[float] = deque(maxlen=config.window)

    @property
    def at_goal(self) -> bool:
        """Whether the full task is being trained."""
        return self.level >= self.goal

    @property
    def progress(self) -> float:
        """Share of the way from start to goal, on a logarithmic scale, in [0, 1]."""
        start = min(self.config.start, self.goal)
        if start == self.goal:
            return 1.0
        return math.log(self.level / start) / math.log(self.goal / start)

    @property
    def success(self) -> float:
        """Success over the recent episodes of the upper half; NaN before any."""
        return sum(self._recent) / len(self._recent) if self._recent else math.nan

    @property
    def measured(self) -> bool:
        """Whether enough episodes of this level were seen to judge it."""
        return len(self._recent) == self.config.window

    def observe(self, difficulties: Iterable[tuple[float, float]]) -> None:
        """Take in `(difficulty, success)` of finished episodes."""
        half = self.level / 2
        self._recent.extend(
            success for difficulty, success in difficulties if half < difficulty <= self.level
        )

    def move(self) -> Move | None:
        """Change the level if the recent episodes say so, and say which way."""
        if len(self._recent) < self.config.window:
            return None
        if self.success >= self.config.advance_at and not self.at_goal:
            self.passed.append(self.level)
            self.set_level(min(self.goal, math.ceil(self.level * self.config.growth)))
            return "advance"
        if self.success < self.config.retreat_at and self.passed:
            self.set_level(self.passed.pop())
            return "retreat"
        return None

    def set_level(self, level: int) -> None:
        """Start afresh at `level`: what was measured at another one does not count."""
        self.level = level
        self._recent.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the levels and what was measured at the last."""
        return {"level": self.level, "passed": self.passed, "recent": list(self._recent)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.set_level(state["level"])
        self.passed = list(state["passed"])
        self._recent.extend(state["recent"])


def by_key(episodes: Iterable[Episode], key: str) -> list[tuple[float, float]]:
    """Return `(difficulty, success)` of episodes, reading the difficulty from `info[key]`."""
    return [(e.info[key], e.info.get("success", 0.0)) for e in episodes]
