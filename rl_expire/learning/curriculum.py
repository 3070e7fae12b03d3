"""Raise the difficulty of a task as it is mastered, and lower it when performance collapses."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rl_expire.learning.episode import Episode, success_rate
from rl_expire.validate import MOST_STEPS, OptionError, check_keys, check_number, check_range

Move = Literal["advance", "retreat"]
STATE = ("index", "passed", "stride", "at_once", "recent", "returns", "lengths", "easier")
"""Keys of a curriculum's state."""
FEWEST = 32
"""Smallest number of episodes by which a level is judged."""
FEWEST_LONG = 64
"""Smallest window, where episodes are long."""
WINDOW_STEPS = 1_000_000
"""Steps of all episodes in a window, from which on fewer of them are enough."""


@dataclass(frozen=True)
class CurriculumConfig:
    """How the task's difficulty grows during training."""

    start: int = 4
    """Difficulty of the first level."""
    growth: float = 1.3
    """Factor by which difficulty grows from one level to the next."""
    advance_at: float = 0.95
    """Success rate on the harder half of a level at which the next one begins."""
    retreat_at: float = 0.7
    """Success rate on the harder half of a level below which the previous one is trained again."""
    window: int = 256
    """Number of recent episodes from the harder half over which success is measured; down to 64
    where they are longer than 1,000,000 steps together. A level is judged sooner, from 32 on, where
    the result is clear by two standard errors."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "start", "window", least=1)
        check_range(self, "growth", above=1, below=math.inf)
        check_range(self, "advance_at", above=0, most=1)
        check_range(self, "retreat_at", least=0, most=1)
        if self.retreat_at > self.advance_at:
            raise OptionError(
                self,
                "retreat_at",
                f"is {self.retreat_at}, above advance_at {self.advance_at}: lower it",
            )


class Result(NamedTuple):
    """The outcome of a finished episode.

    Attributes:
        difficulty: its difficulty, on the scale of the levels.
        success: 1 being perfect; NaN if it is unknown.
        total_reward: its return.
        steps: its length.
    """

    difficulty: float
    success: float
    total_reward: float
    steps: int = 0


@dataclass(frozen=True)
class Level:
    """One level of a curriculum.

    Attributes:
        difficulty: difficulty of the level's hardest episodes.
        options: keyword arguments for the environment's `change`.
        new: whether the level requires a skill that the previous one did not. Initial failure is
            then expected, and does not lead back to the previous level.
    """

    difficulty: int
    options: Mapping[str, int]
    new: bool = False


def ladder(start: int, goal: int, growth: float) -> list[int]:
    """Return integers from `start` to `goal`, each `growth` times the one before, rounded up."""
    steps = [min(start, goal)]
    while steps[-1] < goal:
        steps.append(min(goal, math.ceil(steps[-1] * growth)))
    return steps


class Curriculum:
    """Levels of growing difficulty, left by the success rate on the harder half of the current one.

    An average over all episodes would hide failure on the hardest ones. Of the full task, the
    easier half counts as well, by itself: lessons before it may have left it out.

    Args:
        levels: at least one level; the last is the full task.
        config: when to advance and retreat. `start` and `growth` are not used here, they are for
            making the levels.
    """

    def __init__(self, levels: Sequence[Level], config: CurriculumConfig):
        """Start at the first level."""
        self.levels, self.config = levels, config
        self.index = 0
        self.passed: list[int] = []
        """Levels that were mastered on the way to the current one."""
        self.stride = 1
        """Levels to advance by: twice as many after a level that was mastered at once."""
        self._recent: deque[Result] = deque(maxlen=config.window)
        self._easier: deque[float] = deque(maxlen=config.window)
        """Success of recent episodes of the full task's easier half."""
        self._at_once: bool | None = None

    @property
    def level(self) -> int:
        """Difficulty of the current level."""
        return self.levels[self.index].difficulty

    @property
    def options(self) -> Mapping[str, int]:
        """Options of the environment at the current level."""
        return self.levels[self.index].options

    @property
    def one_level(self) -> bool:
        """Whether the full task is all there is."""
        return len(self.levels) == 1

    @property
    def at_goal(self) -> bool:
        """Whether the current level is the full task."""
        return self.index == len(self.levels) - 1

    @property
    def progress(self) -> float:
        """Progress in [0, 1] towards the full task's difficulty, on a logarithmic scale.

        It is 0 up to the last level that requires a new skill.
        """
        begin = max((n for n, level in enumerate(self.levels) if level.new), default=0)
        first, last = self.levels[begin].difficulty, self.levels[-1].difficulty
        if self.at_goal or self.index <= begin or first == last:
            return float(self.at_goal)
        return math.log(self.level / first) / math.log(last / first)

    @property
    def success(self) -> float:
        """Success rate over the recent episodes of the harder half; NaN if it is unknown.

        If it is lower over as many of the full task's easier half, it is that one.
        """
        harder = success_rate([result.success for result in self._recent])
        if len(self._easier) < self.window:
            return harder
        return min(harder, success_rate(self._easier))

    @property
    def mean_return(self) -> float:
        """Mean return of these episodes; NaN before the first one."""
        returns = [result.total_reward for result in self._recent]
        return sum(returns) / len(returns) if returns else math.nan

    @property
    def measured(self) -> bool:
        """Whether enough episodes of this level have finished to judge it."""
        return len(self._recent) >= self.window

    @property
    def window(self) -> int:
        """Number of episodes that are enough to judge the level."""
        steps = sum(result.steps for result in self._recent)
        if not steps:
            return self.config.window
        enough = math.ceil(WINDOW_STEPS * len(self._recent) / steps)
        return min(self.config.window, max(FEWEST_LONG, enough))

    def observe(self, results: Iterable[Result]) -> int:
        """Record finished episodes; return how many of them are of the harder half."""
        half = self.level / 2
        results = [r for r in results if r.difficulty <= self.level]
        harder = [r for r in results if half < r.difficulty]
        self._recent.extend(harder)
        if self.at_goal:
            self._easier.extend(r.success for r in results if r.difficulty <= half)
        if self._at_once is None:
            judged = self.measured or self._bounds()[0] >= self.config.advance_at
            self._at_once = not self.measured if judged else None
        return len(harder)

    def move(self, *, ready: bool = True) -> Move | None:
        """Advance, or return to the level that was mastered last, if recent success calls for it.

        A level that was mastered at once may have been too easy, so the next step is twice as
        large; but no level that requires a new skill is skipped.

        Args:
            ready: whether to advance from a level that is mastered.

        Returns:
            The move that was made, or None.
        """
        low, high = self._bounds()
        if low >= self.config.advance_at and ready and not self.at_goal:
            self.stride = 2 * self.stride if self._at_once else 1
            self.passed.append(self.index)
            self.go_to(self._next())
            return "advance"
        if high < self.config.retreat_at and self.passed and not self.levels[self.index].new:
            self.stride = 1
            self.go_to(self.passed.pop())
            return "retreat"
        return None

    def _next(self) -> int:
        """Return the index of the next level to train."""
        furthest = min(self.index + self.stride, len(self.levels) - 1)
        between = range(self.index + 1, furthest)
        return next((n for n in between if self.levels[n].new), furthest)

    def _bounds(self) -> tuple[float, float]:
        """Return between which success rates the true one lies, as far as is known.

        Both are the success rate once the window is full. Before, they are two standard errors
        away; one success and one failure are added, so that equal results leave some doubt.
        """
        if self.measured:
            return self.success, self.success
        if len(self._recent) < FEWEST or math.isnan(self.success):
            return -math.inf, math.inf
        known = [0.0 if math.isnan(r.success) else r.success for r in self._recent]
        count = len(known) + 2
        mean = (sum(known) + 1) / count
        variance = (sum(x * x for x in known) + 1) / count - mean**2
        doubt = 2 * math.sqrt(variance / count)
        return mean - doubt, mean + doubt

    def go_to(self, index: int) -> None:
        """Make level `index` the current one, and start measuring success anew."""
        self.index = index
        self._recent.clear()
        self._easier.clear()
        self._at_once = None

    def state_dict(self) -> dict[str, Any]:
        """Return the level, and success and return of the recent episodes on it."""
        return {
            "index": self.index,
            "passed": list(self.passed),
            "stride": self.stride,
            "at_once": self._at_once,
            "recent": [result.success for result in self._recent],
            "returns": [result.total_reward for result in self._recent],
            "lengths": [result.steps for result in self._recent],
            "easier": list(self._easier),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not the state of a curriculum with as many levels.
        """
        check_keys(state, STATE, "curriculum")
        index = check_number(state["index"], int, 0, len(self.levels) - 1, "curriculum/index")
        if state["at_once"] not in (None, True, False):
            raise ValueError("curriculum/at_once is neither true nor false")
        stride = check_number(state["stride"], int, 1, MOST_STEPS, "curriculum/stride")
        passed = state["passed"]
        if not isinstance(passed, list) or any(
            type(n) is not int or not 0 <= n < index for n in passed
        ):
            raise ValueError("curriculum/passed is not a list of levels below the current one")
        for name in ("recent", "returns", "lengths", "easier"):
            numbers = state[name]
            if not isinstance(numbers, list) or {type(x) for x in numbers} - {int, float}:
                raise ValueError(f"curriculum/{name} is not a list of numbers")
        recent = state["recent"]
        returns = state["returns"] or [math.nan] * len(recent)
        lengths = state["lengths"] or [0] * len(recent)
        for name, values in (("returns", returns), ("lengths", lengths)):
            if len(values) != len(recent):
                raise ValueError(f"curriculum/{name} is not a list of length {len(recent)}")
        self.go_to(index)
        self.passed, self.stride, self._at_once = list(passed), stride, state["at_once"]
        results = zip(recent, returns, lengths, strict=True)
        self._recent.extend(Result(self.level, *result) for result in results)
        self._easier.extend(state["easier"])


def episode_results(
    episodes: Iterable[Episode], difficulty: str | None, measure: str
) -> list[Result]:
    """Return the result of each episode.

    Args:
        episodes: finished episodes.
        difficulty: key of their info that holds the difficulty; None: all have difficulty 1.
        measure: key of their info that holds success, 1 being perfect. Where it is missing, success
            is 0; without a difficulty, it is unknown.
    """
    if difficulty is None:
        return [
            Result(1.0, e.info.get(measure, math.nan), e.total_reward, e.steps) for e in episodes
        ]
    return [
        Result(e.info.get(difficulty, math.nan), e.info.get(measure, 0.0), e.total_reward, e.steps)
        for e in episodes
    ]
