"""What memory costs: as much as the score allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rl_expire.validate import MOST_STEPS, check_keys, check_number

LENGTHS = ("least_length", "settled_length")
STATE = ("factor", "most", *LENGTHS, "least_step", "good_steps", "missed", "choices")
DOUBLING_STEPS = 75_000
"""Environment steps in which the price doubles, or falls to half, at the fastest. It takes at least
as many episodes as the score is the mean of: where they are long, the score follows late."""
HIGHEST = 16.0
"""Highest price, in units of the lowest."""
RETREAT = 4.0
"""Factor between a price at which the full task was lost and the highest one from then on."""
QUIET_STEPS = 20_000
"""Environment steps without shorter lifetimes after which a level may be left."""
SETTLED_STEPS = 150_000
"""Environment steps at a good score, and so at a rising price, without shorter lifetimes after
which the run may end."""
SHORTER, SLIGHTLY_SHORTER = 0.3, 0.1
"""Differences of lengths, in nats, that count as shorter: for leaving a level, and for the end."""
MISSED = 0.1
"""KL divergence per choice, in nats, up to which nothing is missed."""
NOTICED = 0.01
"""KL divergence per choice, in nats, up to which the price rises: half of that at which PPO takes a
policy to have changed enough. Where each choice misses a little, nothing would hold lifetimes at a
higher price, and all are lost at once."""
FEWEST_CHOICES, MOST_CHOICES = 32, 256
"""Numbers of recent choices by which it is judged whether anything is missed."""


class MemoryUse(NamedTuple):
    """What an update found out about memory.

    Attributes:
        length: mean logarithm of lifetimes, in nats, see `expire_span.span_penalty`; NaN: unknown.
        missed: mean KL divergence, in nats, from the answers of acting to those with memories
            fading ahead of time, over the choices.
        choices: number of steps that offered a choice.
    """

    length: float = math.nan
    missed: float = 0.0
    choices: float = 0.0

    @staticmethod
    def of(metrics: Mapping[str, float]) -> MemoryUse:
        """Return what the metrics of an update say of it."""
        return MemoryUse(
            metrics.get("span_penalty", math.nan),
            metrics.get("missed", 0.0),
            metrics.get("choices", 0.0),
        )


class MemoryPrice:
    """A factor on the weight of the span penalty, which finds its own size.

    How much each memory weighs in what the agent does depends on the task: one cue of two hundred
    steps is worth a lot, one of many past velocities very little. Once the full task is being
    learned, the price therefore rises while the score is as good as it should be, and falls, to 1
    at the lowest, while it is not.
    """

    def __init__(self) -> None:
        """Begin with the lowest price."""
        self.factor = 1.0
        self.most = HIGHEST
        """Highest price that has not been found to be too high."""
        self.least_length = math.inf
        """Shortest mean logarithm of lifetimes at this level, in nats."""
        self.least_step = 0
        """Step at which it was measured."""
        self.settled_length = math.inf
        """Shortest one at a good score, up to smaller differences."""
        self.good_steps = 0.0
        """Environment steps at a good score since that, fewer where episodes are long."""
        self.missed, self.choices = 0.0, 0.0
        """KL divergence over the recent choices at this level, in nats, and their number."""

    def observe(
        self, taken: int, steps: int, renewed: float, *, good: bool | None, use: MemoryUse
    ) -> None:
        """Record an update.

        Args:
            taken: environment steps of this update.
            steps: environment steps of the run.
            renewed: number of episodes of this update, as a share of those that the score is the
                mean of.
            good: whether the score is as good as it should be; None: the price stays.
            use: what the update found out about memory.
        """
        part = min(taken, renewed * DOUBLING_STEPS)
        if good is not None:
            good = good and not self.missing
            change = 2 ** (part / DOUBLING_STEPS)
            if not good:
                self.factor = max(1.0, self.factor / change)
            elif self.missed <= NOTICED * self.choices:
                self.factor = min(self.most, self.factor * change)
        if use.length < self.least_length - SHORTER:
            self.least_length, self.least_step = use.length, steps
        self.good_steps += part if good else 0.0
        if good and use.length < self.settled_length - SLIGHTLY_SHORTER:
            self.settled_length, self.good_steps = use.length, 0.0
        self.missed += use.missed * use.choices
        self.choices += use.choices
        scale = min(1.0, MOST_CHOICES / max(self.choices, 1.0))
        self.missed, self.choices = scale * self.missed, scale * self.choices

    def begin_level(self, steps: int) -> None:
        """Measure memory anew from environment step `steps` on: another level needs another one.

        Prices rise at the full task only, so that one above the lowest has led to its loss.
        """
        if self.factor > 1:
            self.factor, self.most = 1.0, max(1.0, self.factor / RETREAT)
        self.least_length, self.least_step = math.inf, steps
        self.settled_length, self.good_steps = math.inf, 0.0
        self.missed, self.choices = 0.0, 0.0

    def ready(self, steps: int) -> bool:
        """Return whether a level may be left, by environment step `steps`.

        Lifetimes no longer become shorter, and nothing is missed when memories fade ahead of time:
        what is needed is known to live longer than any episode of this level.
        """
        known = self.choices >= FEWEST_CHOICES and not self.missing
        return known and steps - self.least_step >= QUIET_STEPS

    @property
    def missing(self) -> bool:
        """Whether answers change when memories fade ahead of time."""
        return self.missed > MISSED * self.choices

    @property
    def settled(self) -> bool:
        """Whether lifetimes have not become shorter for long, although the price has risen."""
        return self.good_steps >= SETTLED_STEPS

    def state_dict(self) -> dict[str, Any]:
        """Return price and lengths of lifetimes, for a checkpoint."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not the state of a price.
        """
        check_keys(state, STATE, "schedule/price")
        for name in ("factor", "most"):
            check_number(state[name], float, 1.0, HIGHEST, f"schedule/price/{name}")
        for name in LENGTHS:
            check_number(state[name], float, 0.0, math.inf, f"schedule/price/{name}")
        check_number(state["least_step"], int, 0, MOST_STEPS, "schedule/price/least_step")
        for name in ("good_steps", "missed", "choices"):
            check_number(state[name], float, 0.0, math.inf, f"schedule/price/{name}")
        for name in STATE:
            setattr(self, name, state[name])
