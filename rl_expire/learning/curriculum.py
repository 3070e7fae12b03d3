"""Raise a task's difficulty as it is mastered, step back when it is lost."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rl_expire.learning.rollout import Episode
from rl_expire.validate import check_keys, number

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


@dataclass(frozen=True)
class Level:
    """One step of a curriculum.

    Attributes:
        difficulty: of the hardest episodes, on the scale on which episodes are measured.
        options: of the environment, as its `change` takes them.
        new: whether it asks for something that the level before did not, so that failing is where
            it begins, and no reason to step back.
    """

    difficulty: int
    options: Mapping[str, int]
    new: bool = False


def ladder(start: int, goal: int, growth: float) -> list[int]:
    """Return the whole numbers from `start` to `goal`, each `growth` times the one before."""
    steps = [min(start, goal)]
    while steps[-1] < goal:
        steps.append(min(goal, math.ceil(steps[-1] * growth)))
    return steps


class Curriculum:
    """The level reached, judged on episodes in its upper half: an average would hide the hardest.

    Args:
        levels: from the first to the full task, at least one.
        config: when to go up and down. Its `start` and `growth` are for whoever makes the levels.
    """

    def __init__(self, levels: Sequence[Level], config: CurriculumConfig):
        self.levels, self.config = levels, config
        self.index = 0
        self._recent: deque[float] = deque(maxlen=config.window)

    @property
    def level(self) -> int:
        """The difficulty of the level reached."""
        return self.levels[self.index].difficulty

    @property
    def options(self) -> Mapping[str, int]:
        """The environment's options at the level reached."""
        return self.levels[self.index].options

    @property
    def at_goal(self) -> bool:
        """Whether the full task is being trained."""
        return self.index == len(self.levels) - 1

    @property
    def progress(self) -> float:
        """Share of the way to the full task's difficulty, on a logarithmic scale.

        It begins where nothing new is asked for any more, and is 0 before.
        """
        begin = max((n for n, level in enumerate(self.levels) if level.new), default=0)
        first, last = self.levels[begin].difficulty, self.levels[-1].difficulty
        if self.at_goal or self.index <= begin or first == last:
            return float(self.at_goal)
        return math.log(self.level / first) / math.log(last / first)

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
        if not self.measured:
            return None
        if self.success >= self.config.advance_at and not self.at_goal:
            self.go_to(self.index + 1)
            return "advance"
        new = self.index == 0 or self.levels[self.index].new
        if self.success < self.config.retreat_at and not new:
            self.go_to(self.index - 1)
            return "retreat"
        return None

    def go_to(self, index: int) -> None:
        """Start afresh at level `index`: what was measured at another one does not count."""
        self.index = index
        self._recent.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the level and what was measured there."""
        return {"index": self.index, "recent": list(self._recent)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ValueError: it is not the state of a curriculum of as many levels.
        """
        check_keys(state, ("index", "recent"), "curriculum")
        index = number(state["index"], int, 0, len(self.levels) - 1, "curriculum/index")
        recent = state["recent"]
        if not isinstance(recent, list) or not all(isinstance(x, int | float) for x in recent):
            raise ValueError("curriculum/recent is no list of numbers")
        self.go_to(index)
        self._recent.extend(recent)


def by_key(
    episodes: Iterable[Episode], difficulty: str | None, measure: str
) -> list[tuple[float, float]]:
    """Return `(difficulty, success)` of episodes, reading both from their info by these keys.

    Without a key of the difficulty all are alike, 1, and success is NaN where nothing tells it.
    """
    if difficulty is None:
        return [(1.0, e.info.get(measure, math.nan)) for e in episodes]
    return [(e.info[difficulty], e.info.get(measure, 0.0)) for e in episodes]
