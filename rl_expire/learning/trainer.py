"""Train an agent: collect a rollout, learn from it, follow the schedule."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, Literal, cast

from rl_expire.learning import ranks
from rl_expire.learning.actor_processes import ActorProcesses
from rl_expire.learning.curriculum import episode_results
from rl_expire.learning.forgetting import ForgettingAgent, ForgettingConfig
from rl_expire.learning.learner import STATE as LEARNER_STATE
from rl_expire.learning.learner import Learner
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.memory_price import MemoryUse
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.random_state import random_state, set_random_state
from rl_expire.learning.recent_episodes import RecentEpisodes
from rl_expire.learning.reward_delay import RewardDelay
from rl_expire.learning.schedule import Schedule
from rl_expire.types import Agent, M, Rollout
from rl_expire.validate import MOST_STEPS, OptionError, check_keys, check_number, check_range
from rl_expire.vector.faults import EnvFaultError

MOST_ACTORS = 1024
"""Largest number of actor processes."""
DELAYS_PER_ROLLOUT = 2
"""Length of a rollout, in mean delays of the reward: with one, most rewards would come in the
rollout after that of their action."""
LOAD_ERRORS = LookupError, TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError
"""Exceptions that loading a checkpoint with unexpected content may raise."""


@dataclass(frozen=True)
class TrainConfig:
    """Sizes and budget of a training run."""

    total_steps: int = 12_000_000
    """Environment steps, of all ranks, from which on no further update begins; it may go beyond.
    Training ends sooner once the task is solved and forgetting is done."""
    num_envs: int = 128
    """Number of environments stepped together, B; of each actor, if there are several, and with
    torchrun of each of its processes."""
    actors: int = 0
    """Processes that act, each on environments of its own and on the CPU, while this one learns;
    0: act and learn in turn, in this process. With actors, a run resumes with new episodes, and
    the same command gives other numbers each time."""
    learner: Literal["ppo", "impala"] = "ppo"
    """How the policy learns. `impala`: one pass over each rollout, corrected by V-trace for acting
    with older weights, at a third of the learning rate; it shares the options of PPO except those
    about clipping and passes."""
    rollout_length: int = 32
    """Steps of each environment per update, T, at the first level."""
    longest_rollout: int | None = None
    """T at the full task; T grows towards it with the curriculum or, for a task of one level, until
    a rollout is twice as long as actions wait for their reward. Credit for an action, and for
    writing to memory, comes from the same rollout only. None: T is constant."""
    checkpoint_every: int = 100
    """Updates between checkpoints; there is also one at least every minute."""
    keep_last: int = 2
    """Number of most recent checkpoints to keep, besides the best one."""
    most_skipped: int = 8
    """Number of consecutive optimizer steps that may be skipped because loss or gradient is not
    finite; one more stops the run. Skipped steps change neither weights nor optimizer."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "total_steps", "num_envs", least=1)
        check_range(self, "actors", least=0, most=MOST_ACTORS)
        check_range(self, "rollout_length", "longest_rollout", least=1)
        check_range(self, "checkpoint_every", "keep_last", least=1)
        check_range(self, "most_skipped", least=0)


class Trainer(Generic[M]):
    """The state of a training run, and its update.

    Args:
        agent: the policy; a `ForgettingAgent` if it has spans.
        actor: collects rollouts with the agent. If the curriculum's levels have options, its
            environments have a method `change(**options)`, which applies them from each one's next
            episode, and begin at the first level (see `Schedule.curriculum`).
        schedule: decides what each update does.
        difficulty: key of the environments' info that holds an episode's difficulty, on the scale
            of the curriculum's levels; None: all episodes have difficulty 1.
        measure: key of an episode's final info that holds its success, 1 being perfect.
        train: sizes and budget.
        ppo: options for learning the policy.
        forgetting: options for learning the spans.

    Attributes:
        learner: the agent's optimizers.
        updates: number of updates so far.
        env_faults: number of environments rebuilt so far.
        faults: faults of the environments that were rebuilt during the last update.
        learn_seconds: time spent on learning, acting excluded.

    Raises:
        OptionError: options contradict each other, or the agent does not support one.
        ValueError: the environments have autoreset disabled.
    """

    def __init__(
        self,
        agent: Agent[M],
        actor: LocalActor[M] | ActorProcesses[M],
        schedule: Schedule,
        difficulty: str | None,
        measure: str,
        *,
        train: TrainConfig,
        ppo: PPOConfig,
        forgetting: ForgettingConfig,
    ):
        """Create the learner."""
        _check_divisible(train, "ppo.minibatches", ppo.minibatches)
        self.agent, self.actor, self.schedule = agent, actor, schedule
        self.difficulty, self.measure = difficulty, measure
        self.train = train
        impala = train.learner == "impala"
        self.learner = Learner(agent, ppo, forgetting, train.most_skipped, impala=impala)
        self.recent = RecentEpisodes()
        self.reward_delay = RewardDelay(train.num_envs * ranks.size(), max(1, train.actors))
        self.env_faults = 0
        self.faults: list[str] = []
        self.updates = 0
        self.learn_seconds = 0.0

    @property
    def steps(self) -> int:
        """Environment steps taken so far."""
        return self.schedule.steps

    @property
    def finished(self) -> bool:
        """Whether training is over."""
        return self.schedule.remaining_steps == 0

    @property
    def rollout_length(self) -> int:
        """Length T of the next rollout."""
        first = self.train.rollout_length
        last = self.train.longest_rollout or first
        if not self.schedule.curriculum.one_level:
            return round(first * (last / first) ** self.schedule.curriculum.progress)
        left = self.schedule.remaining_steps // (self.train.num_envs * ranks.size())
        longest = min(last, max(first, left))
        length = first
        while length < min(longest, DELAYS_PER_ROLLOUT * self.reward_delay.mean):
            length = min(longest, 2 * length)
        return length

    def _minibatches(self, length: int) -> int:
        """Return the number of PPO's minibatches of a rollout.

        A rollout that is longer because rewards are late has more minibatches, not larger ones.
        """
        parts = self.learner.ppo.minibatches
        if not self.schedule.curriculum.one_level:
            return parts
        return min(self.train.num_envs, parts * length // self.train.rollout_length)

    def set_level(self) -> None:
        """Set the options of the curriculum's level in the environments."""
        self.actor.change(self.schedule.curriculum.options)

    def update(self) -> dict[str, float]:
        """Collect one rollout, learn from it, and return scalars to log.

        With many ranks each of them has to call this at the same time. They return the same, and
        end with the same weights.

        Raises:
            EnvFaultError: an environment failed; the weights are those of the last update.
            NonFiniteLossError: too many consecutive minibatches had no finite loss or gradient; the
                weights are those before the first of them.
        """
        rollout = self._collect()
        self.reward_delay.update(rollout, self.actor.source)
        self.faults = ranks.chain(self.actor.take_faults())
        self.env_faults += len(self.faults)
        plan = self.schedule.plan()
        start = perf_counter()
        minibatches = self._minibatches(len(rollout.action))
        metrics = ranks.means(self.learner.update(rollout, plan, minibatches))
        self._refresh_memory()
        self.learn_seconds += perf_counter() - start
        self.updates += 1
        self._follow_schedule(self.steps + _steps_of(rollout), MemoryUse.of(metrics))
        logged: dict[str, Any] = {
            "steps": self.steps,
            "phase": plan.phase,
            "level": self.schedule.curriculum.level,
            "learned": self.schedule.learned,
            "goal": self.schedule.curriculum.levels[-1].difficulty,
            "upper_half_success": self.schedule.curriculum.success,
            "alpha": plan.price * (plan.span_rate > 0) * self.learner.forgetting.alpha,
            "learning_rate": plan.rate * self.learner.ppo.learning_rate,
            "rollout_length": len(rollout.action),
            "skipped_updates": self.learner.skips.total,
            "env_faults": self.env_faults,
            "staleness": self.actor.staleness,
        }
        return logged | self.recent.summary(self.schedule.curriculum.level) | metrics

    def _collect(self) -> Rollout[M]:
        """Collect a rollout; an environment that fails on one rank is an error on all of them."""
        length = self.rollout_length
        return ranks.together(lambda: self.actor.collect(length), EnvFaultError)

    def _follow_schedule(self, steps: int, use: MemoryUse) -> None:
        """Report episodes and memory to the schedule, and carry out its decisions."""
        episodes = ranks.chain(self.actor.take_episodes())
        self.recent.add(episodes, self.difficulty)
        results = episode_results(episodes, self.difficulty, self.measure)
        forgetting = self.schedule.forgetting
        move = self.schedule.observe(steps, results, use)
        if self.schedule.forgetting and not forgetting:
            self._calibrate_spans()
            self.learner.mastered = []  # their spans are not calibrated
        if move == "advance":
            self.learner.keep_weights()
        elif move == "retreat" and self.learner.restore_weights():
            self._refresh_memory()
        if move is not None:
            self.set_level()
            self.recent.clear()

    def _calibrate_spans(self) -> None:
        """Calibrate the spans on a new rollout, before they begin to learn."""
        rollout = self._collect()
        self.schedule.steps += _steps_of(rollout)
        cast(ForgettingAgent[M], self.agent).calibrate_spans(rollout.acted_on, rollout.memory)
        ranks.average_buffers(self.agent)  # each rank has calibrated them on its own rollout
        self._refresh_memory()

    def _refresh_memory(self) -> None:
        """Recompute the actor's memory with the current weights and the horizon of training."""
        if self.schedule.forgetting and (length := self.recent.long_episode) is not None:
            cast(ForgettingAgent[M], self.agent).set_horizon(length)
        self.actor.refresh()

    @property
    def resumes_exactly(self) -> bool:
        """Whether a checkpoint holds the environments' complete state, episodes included."""
        return self.actor.resumes_exactly

    @property
    def score(self) -> tuple[int, float] | None:
        """Level and score on it, by which checkpoints are compared; None before it is known."""
        curriculum = self.schedule.curriculum
        return (curriculum.index, self.schedule.score) if curriculum.measured else None

    @property
    def last_loss_finite(self) -> bool:
        """Whether the last minibatch had a finite loss; otherwise the weights may be bad."""
        return self.learner.skips.consecutive == 0

    def state_dict(self) -> dict[str, Any]:
        """Return copies of everything that determines how training continues."""
        counts = {"skipped_updates": self.learner.skips.total, "env_faults": self.env_faults}
        return {
            **self.learner.state_dict(),
            "schedule": self.schedule.state_dict(),
            "recent": self.recent.state_dict(),
            "reward_delay": self.reward_delay.state_dict(),
            "updates": self.updates,
            "counts": counts,
            "actor": self.actor.state_dict(),
            "random": random_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        On the same machine's CPU, training then continues bit for bit as if it had never stopped,
        if `resumes_exactly`; otherwise environments start new episodes.

        Raises:
            ValueError: `state` does not fit this trainer; nothing has changed.
        """
        before = self.state_dict()
        try:
            self._load(state)
        except LOAD_ERRORS as error:
            self._load(before)
            raise ValueError(" ".join(str(error).split())[:300]) from error

    def _load(self, state: dict[str, Any]) -> None:
        """Restore `state`; when this raises, it may have been restored in part."""
        own = ("schedule", "recent", "reward_delay", "updates", "counts", "actor", "random")
        check_keys(state, (*LEARNER_STATE, *own), "the state")
        check_keys(state["counts"], ("skipped_updates", "env_faults"), "counts")
        skipped, faults = (
            check_number(state["counts"][name], int, 0, MOST_STEPS, f"counts/{name}")
            for name in ("skipped_updates", "env_faults")
        )
        updates = check_number(state["updates"], int, 0, MOST_STEPS, "updates")
        self.learner.load_state_dict({name: state[name] for name in LEARNER_STATE})
        self.schedule.load_state_dict(state["schedule"])
        self.recent.load_state_dict(state["recent"])
        self.reward_delay.load_state_dict(state["reward_delay"])
        self.updates, self.env_faults = updates, faults
        self.learner.skips.total, self.learner.skips.consecutive = skipped, 0
        self.set_level()
        self.actor.load_state_dict(state["actor"])
        self.actor.check_policy()
        set_random_state(state["random"])


def _steps_of(rollout: Rollout[Any]) -> int:
    """Return the environment steps of a rollout and those of the other ranks, as long as it."""
    return rollout.reward.numel() * ranks.size()


def _check_divisible(train: TrainConfig, name: str, minibatches: int) -> None:
    """Check that the environments divide evenly into minibatches.

    Raises:
        OptionError: they do not.
    """
    if train.num_envs % minibatches:
        raise OptionError(
            train,
            "num_envs",
            f"is {train.num_envs}, which is not divisible by {name} {minibatches}: "
            "change one of them",
        )
