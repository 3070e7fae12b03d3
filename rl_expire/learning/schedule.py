"""Learn first, then forget: decides what the next update does, so that nobody has to tune it.

- `learn`: memories live long and only the policy learns; the learning rate and the entropy bonus
  fall as the curriculum grows, and a collapse brings the last good weights back.
- `settle`, once the task is solved, or mastered and as good as it gets: both fall to nothing. A
  moving average passes any threshold by luck sooner or later; a policy that is to be frozen must
  pass it at the end of this as well.
- `forget`: the lifetimes learn; their price is withheld while the score is down, and their learning
  rate falls to nothing in the end, so that they come to rest. The policy slowly adapts to what it
  still remembers, on features that stay as they are.
- `end`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from rl_expire.learning.curriculum import Curriculum, Move
from rl_expire.learning.rollout import Episode
from rl_expire.types import InfoKey
from rl_expire.validate import check_keys, check_layout, number

Phase = Literal["learn", "settle", "forget", "end"]
KEPT = ("phase", "phase_from", "steps", "rate", "calm", "near_from", "solved_at", "reference")
"""What a checkpoint holds of a schedule, besides its curriculum."""
MOST_STEPS = 2**62
CALMEST = 0.2
"""Factor on the learning rate below which a mastered task is not waited for any more."""
SLOWING = 0.4
"""Share of the forgetting phase, at its end, over which lifetimes learn ever more slowly."""


@dataclass(frozen=True)
class LearningConfig:
    """When the task counts as learned, and how learning slows down on the way."""

    solved_at: float = 0.985
    """Success on the upper half of the full task at which it counts as solved."""
    settle_steps: int = 300_000
    """Environment steps for which the solved task is learned on, the learning rate falling to 0."""
    entropy_start: float = 0.02
    """Entropy bonus at the curriculum's start."""
    entropy_end: float = 0.005
    """Entropy bonus at the full task."""
    rate_end: float = 0.4
    """Learning rate at the full task, as a share of the first one."""
    rate_forgetting: float = 0.1
    """Factor on learning rate and entropy bonus while forgetting; 0: the policy stays as it is."""
    rate_after_collapse: float = 0.7
    """Factor on the learning rate each time good weights are brought back; undone on advance."""
    patience: int | None = None
    """Environment steps near mastery of the full task, but not there, after which learning rate and
    entropy bonus fall to `rate_after_collapse` of what they were, and again: what is missing then
    is calm. None: they do not."""

    def __post_init__(self) -> None:
        for name in ("solved_at", "rate_after_collapse"):
            if not 0 < getattr(self, name) <= 1:
                option = "--learning." + name.replace("_", "-")
                raise ValueError(
                    f"{option} is {getattr(self, name)}: choose one above 0 and at most 1"
                )
        if not 0 <= self.rate_forgetting <= 1:
            raise ValueError(
                f"--learning.rate-forgetting is {self.rate_forgetting}: choose one from 0 to 1"
            )
        for name in ("settle_steps", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                option = "--learning." + name.replace("_", "-")
                raise ValueError(f"{option} is {value}: choose 1 or more")
        for name in ("entropy_start", "entropy_end", "rate_end"):
            if not 0 < getattr(self, name) < math.inf:
                option = "--learning." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose a number above 0")


@dataclass(frozen=True)
class Plan:
    """What the next update is to do.

    Attributes:
        phase: `learn` the policy, let it `settle`, or `forget` memories.
        rate: factor on the policy's learning rate.
        entropy_cost: weight of the entropy bonus.
        alpha_share: factor in [0, 1] on the price of memory.
        span_rate: factor in [0, 1] on the learning rate of lifetimes while forgetting.
    """

    phase: Phase
    rate: float
    entropy_cost: float
    alpha_share: float
    span_rate: float


class Schedule:
    """Follows the score and makes the plan.

    Args:
        curriculum: the task's difficulty, which decides when it is learned.
        config: when it counts as learned.
        total_steps: environment steps of the whole training.
        forget_steps: environment steps of the forgetting phase; 0: end once the task is solved and
            settled; None: learn for all of `total_steps`, as the paper's joint training does.
        tolerance: share of the score at which alpha has been withheld entirely.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        config: LearningConfig,
        *,
        total_steps: int,
        forget_steps: int | None,
        tolerance: float,
    ):
        self.curriculum, self.config = curriculum, config
        self.total_steps, self.forget_steps, self.tolerance = total_steps, forget_steps, tolerance
        self.phase: Phase = "learn"
        self.phase_from = 0
        self.steps = 0
        self.rate = 1.0
        self.calm = 1.0
        self.near_from: int | None = None
        self.reference = math.nan
        self.solved_at: int | None = None

    def plan(self) -> Plan:
        """Return the plan of the next update."""
        progress = self.curriculum.progress
        config = self.config
        slower = {
            "learn": self.calm,
            "settle": self.calm * (1 - self.phase_done),
            "forget": config.rate_forgetting,
        }.get(self.phase, 1.0)
        entropy = config.entropy_start * (config.entropy_end / config.entropy_start) ** progress
        rate = self.rate * config.rate_end**progress
        span_rate = min(1.0, (1 - self.phase_done) / SLOWING) if self.phase == "forget" else 0.0
        return Plan(self.phase, slower * rate, slower * entropy, self._alpha_share(), span_rate)

    def observe(self, steps: int, episodes: Iterable[tuple[float, float]]) -> Move | None:
        """Take in the result of one update.

        Args:
            steps: environment steps taken so far.
            episodes: `(difficulty, success)` of the episodes that finished.

        Returns:
            Which way the curriculum has moved. After `retreat`, bring back the weights that had
            mastered the level it is at now.
        """
        self.steps = steps
        self.curriculum.observe(episodes)
        move = self.curriculum.move() if self.phase in ("learn", "settle") else None
        if move == "retreat":
            self.rate *= self.config.rate_after_collapse
        elif move == "advance":
            self.rate = min(1.0, self.rate / self.config.rate_after_collapse)
        self._wait(moved=move is not None)
        if self.solved_at is None and self.learned():
            self.solved_at = steps
        following = self._following(move)
        if following != self.phase:
            self.phase, self.phase_from = following, steps
            self.reference = self.curriculum.success
        return move

    def _wait(self, *, moved: bool) -> None:
        """Calm down where the full task has been nearly mastered for too long."""
        patience, near = self.config.patience, self._reached(self.curriculum.config.retreat_at)
        if moved:
            self.calm = 1.0
        if moved or not near or self.phase != "learn":
            self.near_from = None
        elif self.near_from is None:
            self.near_from = self.steps
        elif patience is not None and self.steps - self.near_from >= patience:
            self.calm *= self.config.rate_after_collapse
            self.near_from = self.steps

    def _following(self, move: Move | None) -> Phase:
        """Return the phase that comes next, which may be the same."""
        enough = self.learned() or self._as_good_as_it_gets()
        if self.phase == "learn" and self.forget_steps is not None and enough:
            return "settle"
        if self.phase == "settle" and move == "retreat":
            return "learn"
        if self.phase == "settle" and self.phase_done >= 1:
            if not enough:
                return "learn"
            return "forget" if self.forget_steps else "end"
        if self.phase == "forget" and self.phase_done >= 1:
            return "end"
        return self.phase

    @property
    def phase_steps(self) -> int:
        """Environment steps of this phase; while learning, the most there can be."""
        longest = {
            "learn": self.total_steps,
            "settle": self.config.settle_steps,
            "forget": self.forget_steps or 0,
            "end": 0,
        }[self.phase]
        return max(0, min(longest, self.total_steps - self.phase_from))

    @property
    def phase_done(self) -> float:
        """Share of this phase that is over, in [0, 1]."""
        if self.phase_steps == 0:
            return 1.0
        return min(1.0, (self.steps - self.phase_from) / self.phase_steps)

    @property
    def remaining_steps(self) -> int:
        """Environment steps still to come; while learning, the most there can be."""
        left = self.total_steps - self.steps
        if self.phase != "learn":
            following = (self.forget_steps or 0) if self.phase == "settle" else 0
            left = min(left, self.phase_from + self.phase_steps + following - self.steps)
        return max(0, left)

    def learned(self) -> bool:
        """Whether the full task is solved."""
        return self._reached(self.config.solved_at)

    def _as_good_as_it_gets(self) -> bool:
        """Whether the full task is mastered, and no calm has brought it any further."""
        return self.calm <= CALMEST and self._reached(self.curriculum.config.advance_at)

    def _reached(self, success: float) -> bool:
        """Whether the full task is trained, and so much success was measured at it."""
        curriculum = self.curriculum
        return curriculum.at_goal and curriculum.measured and curriculum.success >= success

    def _alpha_share(self) -> float:
        if self.phase != "forget":
            return 0.0
        lost = (self.reference - self.curriculum.success) / self.reference
        return min(1.0, max(0.0, 1 - lost / self.tolerance))

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on."""
        kept = {name: getattr(self, name) for name in KEPT}
        return kept | {"curriculum": self.curriculum.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ValueError: it is not the state of a schedule with such a curriculum.
        """
        check_keys(state, (*KEPT, "curriculum"), "schedule")
        if state["phase"] not in get_args(Phase):
            raise ValueError(f"schedule/phase is none of {', '.join(get_args(Phase))}")
        for name in ("phase_from", "steps", "near_from", "solved_at"):
            if name in ("phase_from", "steps") or state[name] is not None:
                number(state[name], int, 0, MOST_STEPS, f"schedule/{name}")
        for name in ("rate", "calm"):
            number(state[name], float, 0.0, 1.0, f"schedule/{name}")
        if type(state["reference"]) is not float:
            raise ValueError("schedule/reference is no number")
        self.curriculum.load_state_dict(state["curriculum"])
        for name in KEPT:
            setattr(self, name, state[name])


class Recent:
    """Success of the last episodes, overall and among the longest."""

    def __init__(self, window: int = 512):
        self._episodes: deque[tuple[float, float, float]] = deque(maxlen=window)

    def add(self, episodes: Iterable[Episode], difficulty: str | None) -> None:
        """Note finished episodes, reading how hard each was from `info[difficulty]`; None: 1."""
        for e in episodes:
            success = e.info.get(InfoKey.SUCCESS, math.nan)
            hard = 1.0 if difficulty is None else e.info.get(difficulty, math.nan)
            self._episodes.append((hard, success, e.total_reward))

    @property
    def mean_return(self) -> float:
        """Mean return; NaN before there is an episode."""
        return _mean([r for _, _, r in self._episodes])

    def state_dict(self) -> dict[str, Any]:
        """Return difficulty, success and return of the episodes, `[K, 3]`."""
        return {"episodes": np.array(self._episodes, np.float64).reshape(-1, 3)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ValueError: it is not such a state.
        """
        check_keys(state, ("episodes",), "recent")
        episodes = state["episodes"]
        check_layout(episodes, np.zeros((len(episodes), 3)), "recent/episodes")
        self._episodes.clear()
        self._episodes.extend((d, s, r) for d, s, r in episodes.tolist())

    def summary(self, level: int) -> dict[str, float]:
        """Return mean success, success of the longest tenth below `level`, and mean return."""
        longest = [s for d, s, _ in self._episodes if d >= 0.9 * level]
        return {
            "success": _mean([s for _, s, _ in self._episodes]),
            "success_longest": _mean(longest),
            "return": self.mean_return,
        }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
