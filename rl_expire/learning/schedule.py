"""Decide what each update does: learn the task first, then learn what to forget.

The phases of a run:

- `learn`: memories live long and only the policy learns. Learning rate and entropy bonus fall as
  the curriculum grows; after a collapse the last good weights are restored.
- `settle`, once the task is solved, or mastered without further progress: learning rate and entropy
  bonus fall to zero. Sooner or later a moving average passes any threshold by chance, so the score
  must still pass it at the end of this phase; otherwise the task is no longer solved, and learning
  goes on.
- `forget`: the lifetimes learn. The span penalty is reduced while the score is down, and the
  learning rate of lifetimes falls to zero at the end of the phase. The policy slowly adapts to the
  memories that remain, on features that are frozen.
- `end`.

A phase lasts for all of its steps. If the steps of the run are spent before, it remains unfinished,
and goes on when the run is given more.

The score is the success rate or, where success is unknown, the mean return.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rl_expire.learning.curriculum import Curriculum, Move, Result
from rl_expire.validate import check_keys, check_number, check_range

Phase = Literal["learn", "settle", "forget", "end"]
STATE = (
    *("phase", "phase_start", "steps", "solved_step", "reference"),
    *("collapse_scale", "plateau_scale", "plateau_start"),
)
"""Attributes of a schedule that a checkpoint holds, besides its curriculum."""
MOST_STEPS = 2**62
"""Largest step count that a checkpoint may hold."""
PLATEAU_SCALE_MIN = 0.2
"""Once the learning rate has been scaled down to this on a plateau, a mastered task settles."""
SPAN_ANNEALING = 0.4
"""Share of the forgetting phase, at its end, over which the spans' learning rate falls to 0."""


@dataclass(frozen=True)
class LearningConfig:
    """When the task counts as solved, and how learning rate and entropy bonus fall on the way."""

    solved_at: float = 0.985
    """Success rate on the harder half of the full task at which it counts as solved. Where success
    is unknown, the mean return has to come as near to the environment's `reward_threshold`: at 0.97
    it may be 3 % of the threshold's size below it, as the best policy is in some environments."""
    settle_steps: int = 300_000
    """Environment steps for which the learning rate falls to 0 once the task is solved."""
    entropy_start: float = 0.02
    """Weight of the entropy bonus at the first level."""
    entropy_end: float = 0.005
    """Weight of the entropy bonus at the full task."""
    rate_end: float = 0.4
    """Learning rate at the full task, as a fraction of the initial one."""
    rate_forgetting: float = 0.1
    """Factor on learning rate and entropy bonus while forgetting; 0 freezes the policy."""
    rate_after_collapse: float = 0.7
    """Factor on the learning rate each time earlier weights are restored; undone on advance."""
    patience: int | None = None
    """Environment steps on a plateau, with the full task nearly mastered, after which learning rate
    and entropy bonus are scaled by `rate_after_collapse`, repeatedly: the updates are then assumed
    to be too large. None: never."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "solved_at", "rate_after_collapse", above=0, most=1)
        check_range(self, "rate_forgetting", least=0, most=1)
        check_range(self, "settle_steps", "patience", least=1)
        check_range(self, "entropy_start", "entropy_end", "rate_end", above=0, below=math.inf)


@dataclass(frozen=True)
class Plan:
    """What the next update does.

    Attributes:
        phase: the phase that the run is in.
        rate: factor on the policy's learning rate.
        entropy_cost: weight of the entropy bonus.
        alpha_share: factor in [0, 1] on the weight of the span penalty.
        span_rate: factor in [0, 1] on the learning rate of the spans.
    """

    phase: Phase
    rate: float
    entropy_cost: float
    alpha_share: float
    span_rate: float


class Schedule:
    """Moves a run through its phases by the score.

    Args:
        curriculum: the curriculum, which also measures success.
        config: when the task counts as solved.
        total_steps: environment steps of the whole run.
        forget_steps: environment steps of the forgetting phase; 0: end after settling; None: learn
            for all of `total_steps`, as the paper's joint training does.
        tolerance: fraction of the score whose loss while forgetting sets the span penalty to zero.
        reward_threshold: mean return of a solved task, for one whose success is unknown; None: such
            a task is never solved.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        config: LearningConfig,
        *,
        total_steps: int,
        forget_steps: int | None,
        tolerance: float,
        reward_threshold: float | None = None,
    ):
        """Start in the phase `learn`."""
        self.curriculum, self.config = curriculum, config
        self.total_steps, self.forget_steps, self.tolerance = total_steps, forget_steps, tolerance
        self.reward_threshold = reward_threshold
        self.phase: Phase = "learn"
        self.phase_start = 0
        self.steps = 0
        self.collapse_scale = 1.0
        """Factor on the learning rate, lowered by each collapse."""
        self.plateau_scale = 1.0
        """Factor on learning rate and entropy bonus, lowered on a plateau of the full task."""
        self.plateau_start: int | None = None
        """Step at which the plateau began; None while there is none."""
        self.reference = math.nan
        """Score when the phase began."""
        self.solved_step: int | None = None
        """Step since which the full task has been solved; None while it is not."""

    def plan(self) -> Plan:
        """Return the plan of the next update."""
        progress = self.curriculum.progress
        config = self.config
        phase_scale = {
            "learn": self.plateau_scale,
            "settle": self.plateau_scale * (1 - self.phase_done),
            "forget": config.rate_forgetting,
        }.get(self.phase, 1.0)
        entropy = config.entropy_start * (config.entropy_end / config.entropy_start) ** progress
        rate = self.collapse_scale * config.rate_end**progress
        annealed = min(1.0, (1 - self.phase_done) / SPAN_ANNEALING)
        return Plan(
            self.phase,
            phase_scale * rate,
            phase_scale * entropy,
            self._alpha_share(),
            annealed if self.phase == "forget" else 0.0,
        )

    def observe(self, steps: int, results: Iterable[Result]) -> Move | None:
        """Record the outcome of an update, and move on to the next level or phase when due.

        Args:
            steps: environment steps taken so far.
            results: the episodes that finished.

        Returns:
            The curriculum's move. After `retreat`, restore the weights that mastered the level that
            is current now.
        """
        self.steps = steps
        self.curriculum.observe(results)
        move = self.curriculum.move() if self.phase in ("learn", "settle") else None
        if move == "retreat":
            self.collapse_scale *= self.config.rate_after_collapse
        elif move == "advance":
            self.collapse_scale = min(1.0, self.collapse_scale / self.config.rate_after_collapse)
        self._update_plateau(moved=move is not None)
        phase = self._next_phase(move)
        if self._collapsed() or (self.phase, phase) == ("settle", "learn"):
            self.solved_step = None
        elif self.solved_step is None and self.solved():
            self.solved_step = steps
        if phase != self.phase:
            self.phase, self.phase_start = phase, steps
            self.reference = self.score
        return move

    def count_steps(self, steps: int) -> None:
        """Count environment steps between two phases, before the first update of the new one."""
        self.steps += steps
        self.phase_start = self.steps

    def _update_plateau(self, *, moved: bool) -> None:
        """Lower the learning rate after `patience` steps with the full task nearly mastered."""
        patience = self.config.patience
        nearly_mastered = self._reached(self.curriculum.config.retreat_at)
        if moved:
            self.plateau_scale = 1.0
        if moved or not nearly_mastered or self.phase != "learn":
            self.plateau_start = None
        elif self.plateau_start is None:
            self.plateau_start = self.steps
        elif patience is not None and self.steps - self.plateau_start >= patience:
            self.plateau_scale *= self.config.rate_after_collapse
            self.plateau_start = self.steps

    def _next_phase(self, move: Move | None) -> Phase:
        """Return the phase of the next update, which may be the current one."""
        enough = self.solved() or self._mastered_without_progress()
        if self.phase == "learn" and self.forget_steps is not None and enough:
            return "settle"
        if self.phase == "settle" and move == "retreat":
            return "learn"
        if self.phase == "settle" and self._lasted(self.config.settle_steps):
            if not enough:
                return "learn"
            return "forget" if self.forget_steps else "end"
        if self.phase == "forget" and self._lasted(self.forget_steps or 0):
            return "end"
        return self.phase

    def _lasted(self, steps: int) -> bool:
        """Return whether the current phase has lasted for `steps`."""
        return self.steps - self.phase_start >= steps

    @property
    def phase_steps(self) -> int:
        """Length of the current phase within the run's steps; an upper bound while learning."""
        longest = {
            "learn": self.total_steps,
            "settle": self.config.settle_steps,
            "forget": self.forget_steps or 0,
            "end": 0,
        }[self.phase]
        return max(0, min(longest, self.total_steps - self.phase_start))

    @property
    def phase_done(self) -> float:
        """Completed fraction of the current phase, in [0, 1]."""
        if self.phase_steps == 0:
            return 1.0
        return min(1.0, (self.steps - self.phase_start) / self.phase_steps)

    @property
    def remaining_steps(self) -> int:
        """Environment steps still to come; an upper bound while learning."""
        left = self.total_steps - self.steps
        if self.phase != "learn":
            following = (self.forget_steps or 0) if self.phase == "settle" else 0
            left = min(left, self.phase_start + self.phase_steps + following - self.steps)
        return max(0, left)

    @property
    def score(self) -> float:
        """Success rate of the recent episodes, or their mean return where success is unknown."""
        success = self.curriculum.success
        return self.curriculum.mean_return if math.isnan(success) else success

    def solved(self) -> bool:
        """Return whether the full task is solved at present."""
        return self._reached(self.config.solved_at)

    def _collapsed(self) -> bool:
        """Return whether the score on the full task is so low that it has to be learned again."""
        nearly = self._reached(self.curriculum.config.retreat_at)
        return not self.curriculum.at_goal or (self.curriculum.measured and not nearly)

    def _mastered_without_progress(self) -> bool:
        """Whether the full task is mastered, and lower learning rates no longer improve on it."""
        mastered = self._reached(self.curriculum.config.advance_at)
        return self.plateau_scale <= PLATEAU_SCALE_MIN and mastered

    def _reached(self, success: float) -> bool:
        """Return whether the score on the full task is at least `success`.

        Where success is unknown, that share of the threshold is meant.
        """
        if not (self.curriculum.at_goal and self.curriculum.measured):
            return False
        if not math.isnan(self.curriculum.success):
            return self.curriculum.success >= success
        threshold = self.reward_threshold
        if threshold is None:
            return False
        return self.curriculum.mean_return >= threshold - (1 - success) * abs(threshold)

    def _alpha_share(self) -> float:
        """Return the factor on the span penalty: the less, the more of the score is lost."""
        if self.phase != "forget":
            return 0.0
        lost = (self.reference - self.score) / (abs(self.reference) or 1.0)
        return min(1.0, max(0.0, 1 - lost / self.tolerance))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of schedule and curriculum, for a checkpoint."""
        state = {name: getattr(self, name) for name in STATE}
        return state | {"curriculum": self.curriculum.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not the state of a schedule with such a curriculum.
        """
        check_keys(state, (*STATE, "curriculum"), "schedule")
        if state["phase"] not in get_args(Phase):
            raise ValueError(f"schedule/phase is not one of {', '.join(get_args(Phase))}")
        for name in ("phase_start", "steps", "plateau_start", "solved_step"):
            if name in ("phase_start", "steps") or state[name] is not None:
                check_number(state[name], int, 0, MOST_STEPS, f"schedule/{name}")
        for name in ("collapse_scale", "plateau_scale"):
            check_number(state[name], float, 0.0, 1.0, f"schedule/{name}")
        if type(state["reference"]) is not float:
            raise ValueError("schedule/reference is not a float")
        self.curriculum.load_state_dict(state["curriculum"])
        for name in STATE:
            setattr(self, name, state[name])
