"""Decide what each update does: how fast the policy learns, and what memories cost.

The phases of a run:

- `learn`: the policy learns, at a learning rate and with an entropy bonus that fall as the
  curriculum grows, and once the task is solved; after a collapse the last good weights are
  restored. Once there is something worth keeping, the lifetimes of memories learn beside it.
- `settle`, once the task is solved, or mastered without further progress, and no more memories
  are being given up: learning rate and entropy bonus fall to zero. Lifetimes stay as they are, and
  so does all that they are computed from: the score comes an episode late, and would not tell what
  is lost in the last steps. Sooner or later a moving
  average passes any threshold by chance, so the score must still pass it at the end of this
  phase; otherwise learning goes on, at a lower price of memory.
- `end`.

Whatever the phase, learning rates also fall to zero over the last steps of a run. A phase that is
unfinished then goes on when the run is given more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rl_expire.learning.curriculum import Curriculum, Move, Result
from rl_expire.learning.goal import Goal
from rl_expire.learning.memory_price import MemoryPrice, MemoryUse
from rl_expire.validate import MOST_STEPS, check_keys, check_number, check_range

Phase = Literal["learn", "settle", "end"]
STATE = (
    *("phase", "phase_start", "steps", "solved_step", "forgetting"),
    *("collapse_scale", "plateau_scale", "plateau_start"),
)
"""Attributes of a schedule that a checkpoint holds, besides those of its parts."""
PARTS = ("curriculum", "goal", "price")
"""Parts of a schedule that have a state of their own."""
PLATEAU_SCALE_MIN = 0.2
"""Once the learning rate has been scaled down to this on a plateau, a mastered task settles."""
LESSONS_BEFORE_FORGETTING = 3
"""Levels to be mastered before lifetimes learn. In the first ones, cue and use may be in view
together, and the policy does not need its memory yet."""
RATE_ONCE_SOLVED = 0.3
"""Factor on learning rate and entropy bonus while the full task is solved: the policy has little
left to learn, and memory is judged by a score that should not waver."""
SPAN_RATE_OF_ONE_LEVEL = 0.3
"""Factor on the learning rate of lifetimes in a task of one level, where the policy has learned
with all memories and needs time to follow."""
SETTLE_SHARE = 0.1
"""Settling takes at most this share of a run's steps."""


@dataclass(frozen=True)
class LearningConfig:
    """When the task counts as solved, and how learning rate and entropy bonus fall on the way."""

    solved_at: float = 0.985
    """Success rate on the harder half of the full task at which it counts as solved. Where success
    is unknown, the mean return has to come as near to the environment's `reward_threshold`: at 0.97
    it may be 3 % of the threshold's size below it, as the best policy is in some environments."""
    settle_steps: int = 300_000
    """Environment steps for which learning rates fall to 0 once the task is solved, at most a tenth
    of all steps."""
    entropy_start: float = 0.02
    """Weight of the entropy bonus at the first level."""
    entropy_end: float = 0.005
    """Weight of the entropy bonus at the full task."""
    rate_end: float = 0.4
    """Learning rate at the full task, as a fraction of the initial one."""
    rate_after_collapse: float = 0.7
    """Factor on the learning rate each time earlier weights are restored; undone on advance."""
    patience: int | None = None
    """Environment steps on a plateau, with the full task nearly mastered, after which learning rate
    and entropy bonus are scaled by `rate_after_collapse`, repeatedly: the updates are then assumed
    to be too large. None: never."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "solved_at", "rate_after_collapse", above=0, most=1)
        check_range(self, "settle_steps", "patience", least=1)
        check_range(self, "entropy_start", "entropy_end", "rate_end", above=0, below=math.inf)


@dataclass(frozen=True)
class Plan:
    """What the next update does.

    Attributes:
        phase: the phase that the run is in.
        rate: factor on the policy's learning rate.
        entropy_cost: weight of the entropy bonus.
        price: factor on the weight of the span penalty.
        span_rate: factor in [0, 1] on the learning rate of the spans; 0 until forgetting begins,
            and while settling.
    """

    phase: Phase
    rate: float
    entropy_cost: float
    price: float
    span_rate: float


class Schedule:
    """The phases of a run, moved through by the score.

    Args:
        curriculum: the curriculum, which also measures success.
        config: when the task counts as solved.
        total_steps: environment steps of the whole run.
        method: how lifetimes learn, see `ForgettingConfig`.
        reward_threshold: mean return of a solved task, for one whose success is unknown.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        config: LearningConfig,
        *,
        total_steps: int,
        method: Literal["distillation", "joint", "never"],
        reward_threshold: float | None = None,
    ):
        """Start in the phase `learn`."""
        self.curriculum, self.config = curriculum, config
        self.total_steps, self.method = total_steps, method
        self.goal = Goal(curriculum, reward_threshold)
        self.price = MemoryPrice()
        self.phase: Phase = "learn"
        self.phase_start = 0
        self.steps = 0
        self.forgetting = False
        """Whether lifetimes learn."""
        self.collapse_scale = 1.0
        """Factor on the learning rate, lowered by each collapse."""
        self.plateau_scale = 1.0
        """Factor on learning rate and entropy bonus, lowered on a plateau of the full task."""
        self.plateau_start: int | None = None
        """Step at which the plateau began; None while there is none."""
        self.solved_step: int | None = None
        """Step since which the full task has been solved; None while it is not."""

    def plan(self) -> Plan:
        """Return the plan of the next update."""
        progress = self.curriculum.progress
        config = self.config
        left = max(0, self.total_steps - self.steps) / self._settle_steps()
        calm = 1 - self.phase_done if self.phase == "settle" else min(1.0, left)
        scale = calm * self.plateau_scale * (1.0 if self.solved_step is None else RATE_ONCE_SOLVED)
        entropy = config.entropy_start * (config.entropy_end / config.entropy_start) ** progress
        rate = self.collapse_scale * config.rate_end**progress
        span_rate = calm * (SPAN_RATE_OF_ONE_LEVEL if self.curriculum.one_level else 1.0)
        return Plan(
            self.phase,
            scale * rate,
            scale * entropy,
            self.price.factor,
            span_rate if self.forgetting and self.phase != "settle" else 0.0,
        )

    def observe(
        self, steps: int, results: Iterable[Result], use: MemoryUse | None = None
    ) -> Move | None:
        """Record the outcome of an update, and move on to the next level or phase when due.

        Args:
            steps: environment steps taken so far.
            results: the episodes that finished.
            use: what the update found out about memory.

        Returns:
            The curriculum's move. After `retreat`, restore the weights that mastered the level that
            is current now.
        """
        taken = steps - self.steps
        self.steps = steps
        episodes = self.curriculum.observe(results)
        self.goal.observe(steps)
        ready = not self.forgetting or self.price.ready(steps)
        move = self.curriculum.move(ready=ready) if self.phase != "end" else None
        if move == "retreat":
            self.collapse_scale *= self.config.rate_after_collapse
        elif move == "advance":
            self.collapse_scale = min(1.0, self.collapse_scale / self.config.rate_after_collapse)
        if move is not None:
            self.price.begin_level(steps)
        self._update_plateau(moved=move is not None)
        if self.forgetting and self.phase == "learn" and move is None:
            good = self.goal.allows(self.config.solved_at)
            renewed = episodes / self.curriculum.window
            self.price.observe(taken, steps, renewed, good=good, use=use or MemoryUse())
        elif self._worth_forgetting():
            self.forgetting = True
            self.price.begin_level(steps)
        phase = self._next_phase(move)
        lost = (self.phase, phase) == ("settle", "learn")
        if lost:  # by the price, as far as is known
            self.price.begin_level(steps)
        if lost or self._collapsed():
            self.solved_step = None
        elif self.solved_step is None and self.solved():
            self.solved_step = steps
        if phase != self.phase:
            self.phase, self.phase_start = phase, steps
        return move

    def _worth_forgetting(self) -> bool:
        """Return whether the policy is good enough for the memories that it needs to be known."""
        if self.forgetting or self.method != "distillation" or self.phase != "learn":
            return False
        levels, index = len(self.curriculum.levels), self.curriculum.index
        if levels > 1 and index >= min(LESSONS_BEFORE_FORGETTING, levels - 1):
            return True
        nearly = self.goal.reached(self.curriculum.config.retreat_at)
        return nearly or self.goal.stalled(self.steps)

    def _update_plateau(self, *, moved: bool) -> None:
        """Lower the learning rate after `patience` steps with the full task nearly mastered."""
        patience = self.config.patience
        nearly_mastered = self.goal.reached(self.curriculum.config.retreat_at)
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
        if self.phase == "learn":
            return "settle" if self._finished_learning() else "learn"
        if self.phase == "settle" and move == "retreat":
            return "learn"
        if self.phase == "settle" and self.steps - self.phase_start >= self._settle_steps():
            return "end" if self._mastered() else "learn"
        return self.phase

    def _finished_learning(self) -> bool:
        """Return whether nothing more is to be gained: neither score nor memory."""
        if self.method == "joint" or not self._mastered():
            return False
        if self.method == "never":
            return True
        ready = self.curriculum.one_level or self.price.ready(self.steps)
        return self.forgetting and ready and self.price.settled

    def _mastered(self) -> bool:
        """Return whether the full task is solved, or mastered without further progress."""
        mastered = self.goal.reached(self.curriculum.config.advance_at)
        return self.solved() or (self.plateau_scale <= PLATEAU_SCALE_MIN and mastered)

    def _settle_steps(self) -> int:
        """Return the length of the settling phase."""
        return min(self.config.settle_steps, math.ceil(SETTLE_SHARE * self.total_steps))

    @property
    def phase_steps(self) -> int:
        """Length of the current phase within the run's steps; an upper bound while learning."""
        longest = {"learn": self.total_steps, "settle": self._settle_steps(), "end": 0}[self.phase]
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
            left = min(left, self.phase_start + self.phase_steps - self.steps)
        return max(0, left)

    @property
    def score(self) -> float:
        """Success rate of the recent episodes, or their mean return where success is unknown."""
        return self.goal.score

    @property
    def learned(self) -> int:
        """Difficulty of the hardest level that was mastered and not lost again; 0: none."""
        curriculum = self.curriculum
        if self.solved_step is not None:
            return curriculum.level
        return curriculum.levels[curriculum.passed[-1]].difficulty if curriculum.passed else 0

    def solved(self) -> bool:
        """Return whether the full task is solved at present."""
        return self.goal.reached(self.config.solved_at)

    def _collapsed(self) -> bool:
        """Return whether the score on the full task is so low that it has to be learned again."""
        nearly = self.goal.reached(self.curriculum.config.retreat_at)
        return not self.curriculum.at_goal or (self.curriculum.measured and not nearly)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of schedule and curriculum, for a checkpoint."""
        parts = {name: getattr(self, name).state_dict() for name in PARTS}
        return {name: getattr(self, name) for name in STATE} | parts

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` is not the state of a schedule with such a curriculum.
        """
        check_keys(state, (*STATE, *PARTS), "schedule")
        if state["phase"] not in get_args(Phase):
            raise ValueError(f"schedule/phase is not one of {', '.join(get_args(Phase))}")
        if type(state["forgetting"]) is not bool:
            raise ValueError("schedule/forgetting is not true or false")
        for name in ("phase_start", "steps", "plateau_start", "solved_step"):
            if name in ("phase_start", "steps") or state[name] is not None:
                check_number(state[name], int, 0, MOST_STEPS, f"schedule/{name}")
        for name in ("collapse_scale", "plateau_scale"):
            check_number(state[name], float, 0.0, 1.0, f"schedule/{name}")
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        for name in STATE:
            setattr(self, name, state[name])
