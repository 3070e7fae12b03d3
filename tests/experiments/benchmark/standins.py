"""Peers that take no time: a clock of their own goes on by what an update costs."""

from __future__ import annotations

import pytest

from experiments.benchmark import peer
from experiments.benchmark.peer import Recipe


class Clock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the clock that training is timed by."""
        self.now = 0.0
        self.trained: list[str] = []
        monkeypatch.setattr(peer, "perf_counter", lambda: self.now)


class StandIn:
    """A peer whose updates are 100 steps, and which solves the task with the last of them."""

    def __init__(
        self, clock: Clock, name: str, cost: float, updates: int = 10**9, curriculum: bool = True
    ) -> None:
        """Set what an update costs in seconds, and how many the task takes."""
        self.clock, self.name, self.cost, self.left = clock, name, cost, updates
        self.curriculum = curriculum
        self.made = 0

    def recipe(self) -> Recipe:
        """Return a recipe."""
        return Recipe(rollout=32, minibatches=4, passes=3)

    def update(self) -> int:
        """Let time pass."""
        self.clock.now += self.cost
        self.clock.trained.append(self.name)
        self.left -= 1
        self.made += 1
        return 100

    def passes(self) -> float:
        """Return the passes so far: 2 for each update."""
        return 2.0 * self.made

    def success(self) -> float:
        """Return 1 after the last update, and 0.5 before; measuring takes time as well."""
        self.clock.now += 1000.0
        return 1.0 if self.left <= 0 else 0.5
