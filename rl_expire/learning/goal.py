"""How near a policy is to the goal of its task: by success, by a threshold, or by its own best."""

from __future__ import annotations

import math
from typing import Any

from rl_expire.learning.curriculum import Curriculum
from rl_expire.validate import MOST_STEPS, check_keys, check_number

STATE = ("first", "best", "best_step")
STALLED_STEPS = 500_000
"""Environment steps without a better score after which a task without a known goal has stalled."""
TOLERANCE = 0.05
"""Share of the score, or of all that was gained, by which scores may differ by chance."""


class Goal:
    """Judges the score of the full task.

    The score is the success rate of the recent episodes or, where success is unknown, their mean
    return. The goal of a return is the environment's threshold; without one, nothing is known but
    how the score has grown.

    Args:
        curriculum: measures the score, and knows whether the full task has been reached.
        threshold: mean return of a solved task, for one whose success is unknown.
    """

    def __init__(self, curriculum: Curriculum, threshold: float | None):
        """Nothing has been measured yet."""
        self.curriculum, self.threshold = curriculum, threshold
        self.first: float | None = None
        """First score that was measured on the full task."""
        self.best: float | None = None
        """Best score since then, up to the tolerance."""
        self.best_step = 0
        """Step at which the best score was measured."""

    @property
    def score(self) -> float:
        """Success rate of the recent episodes, or their mean return where success is unknown."""
        success = self.curriculum.success
        return self.curriculum.mean_return if math.isnan(success) else success

    @property
    def measured(self) -> bool:
        """Whether enough episodes of the full task have finished to judge it."""
        return self.curriculum.at_goal and self.curriculum.measured

    def observe(self, steps: int) -> None:
        """Record the present score at environment step `steps`."""
        if not self.measured or not math.isfinite(self.score):
            return
        if self.first is None or self.best is None:
            self.first, self.best, self.best_step = self.score, self.score, steps
        elif self.score > self.best + TOLERANCE * (self.best - self.first):
            self.best, self.best_step = self.score, steps

    def reached(self, share: float) -> bool:
        """Return whether the score is at least `share` of the goal; False without a known goal.

        Of a threshold below zero, the score may miss 1 - `share` of its size.
        """
        return self.measured and self._reached(self.score, share)

    def _reached(self, score: float, share: float) -> bool:
        """Return whether `score` is at least `share` of the goal."""
        if not math.isnan(self.curriculum.success):
            return score >= share
        if self.threshold is None:
            return False
        return score >= self.threshold - (1 - share) * abs(self.threshold)

    def allows(self, solved_at: float) -> bool | None:
        """Return whether the score allows memory to cost more; None: neither more nor less.

        It does while the task is solved. A task that has been solved, and misses its goal by more
        than twice what is allowed, has lost by the price. One that has yet to be solved goes on at
        the price that it has, unless its score falls. Without a known goal, a score near the best
        one is all that can be asked for.

        Args:
            solved_at: share of the goal at which the task is solved.
        """
        if not self.measured or self.first is None or self.best is None:
            return None
        gained = max(self.best - self.first, abs(self.best))
        holds = self.score >= self.best - TOLERANCE * gained
        if math.isnan(self.curriculum.success) and self.threshold is None:
            return holds
        if self.reached(solved_at):
            return True
        if self.reached(1 - 2 * (1 - solved_at)):
            return None
        return None if holds and not self._reached(self.best, solved_at) else False

    def stalled(self, steps: int) -> bool:
        """Return whether the score had grown, and has stopped growing by environment step `steps`.

        Never where success is known: half a success may be had without any memory.
        """
        if not math.isnan(self.curriculum.success) or self.first is None or self.best is None:
            return False
        return self.best > self.first and steps - self.best_step >= STALLED_STEPS

    def state_dict(self) -> dict[str, Any]:
        """Return the scores, for a checkpoint."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not the state of a goal.
        """
        check_keys(state, STATE, "schedule/goal")
        for name in ("first", "best"):
            if state[name] is not None:
                check_number(state[name], float, -math.inf, math.inf, f"schedule/goal/{name}")
        check_number(state["best_step"], int, 0, MOST_STEPS, "schedule/goal/best_step")
        for name in STATE:
            setattr(self, name, state[name])
