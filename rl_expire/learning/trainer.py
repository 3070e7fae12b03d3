"""The straight line: act, collect, learn, report, again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic, perf_counter
from typing import Any, Generic, Protocol, cast

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from rl_expire.learning.curriculum import by_key
from rl_expire.learning.forgetting import ForgettingAgent, ForgettingConfig, forget_update
from rl_expire.learning.nonfinite import Skips
from rl_expire.learning.optimizer_state import load_optimizer_state, optimizer_state
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.random_state import random_state, set_random_state
from rl_expire.learning.rollout import Actor, collect
from rl_expire.learning.schedule import MOST_STEPS, Plan, Recent, Schedule
from rl_expire.types import Agent, M, Rollout
from rl_expire.validate import check_fit, check_keys, number
from rl_expire.vector.faults import EnvFaultError
from rl_expire.vector.state import Resumable

GOOD_WEIGHTS = 6
"""How many levels back the weights that mastered each are kept, for a collapse."""
REFUSALS = LookupError, TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError
"""What code raises that is given what it cannot use."""
LONGEST_UNSAVED = 60.0
"""Seconds of training after which there is a checkpoint, however few updates they were."""


@dataclass(frozen=True)
class TrainConfig:
    """The training run."""

    total_steps: int = 12_000_000
    """The most environment steps; training ends sooner once forgetting is done."""
    num_envs: int = 128
    """Environments stepped together, B."""
    rollout_length: int = 32
    """Steps of each environment between updates, T, at the curriculum's start."""
    longest_rollout: int | None = None
    """T at the full task; it grows there with the curriculum. What is written into memory only
    learns from a use within the same rollout. None: T stays as it is."""
    checkpoint_every: int = 100
    """Updates between checkpoints, and never more than a minute."""
    keep_last: int = 2
    """Checkpoints kept, the newest; the best one is kept besides."""
    most_skipped: int = 8
    """Steps of an optimizer in a row that are left out since loss or gradient is not finite; with
    one more the run stops. Weights and optimizer stay as they are meanwhile."""

    def __post_init__(self) -> None:
        for name in (
            *("total_steps", "num_envs", "rollout_length", "longest_rollout"),
            *("checkpoint_every", "keep_last"),
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                option = "--train." + name.replace("_", "-")
                raise ValueError(f"{option} is {value}: choose 1 or more")
        if self.most_skipped < 0:
            raise ValueError(f"--train.most-skipped is {self.most_skipped}: choose 0 or more")


class Changeable(Protocol):
    """What an environment needs for a curriculum."""

    def change(self, **options: int) -> None:
        """Change options from each environment's next episode on."""


class Trainer(Generic[M]):
    """Everything one training run holds, and its update.

    Args:
        agent: the policy; a `ForgettingAgent` if it has lifetimes.
        envs: a vector environment that autoresets, with a method `change(**options)` that takes
            the options of the curriculum's levels, if they have any, from each one's next episode
            on.
        schedule: decides what each update does.
        difficulty: the key of the environments' info that says how hard an episode was, on the
            scale of the curriculum's levels; None where there is one level, 1.
        measure: the key that says, as an episode ends, how well it went; 1 is perfect.
        train: sizes and budget.
        ppo: the learner of the policy.
        forgetting: the learner of the lifetimes.
        device: where agent and rollouts live.
        seed: of the environments.
        solved_return: as `Actor` takes it.
    """

    def __init__(
        self,
        agent: Agent[M],
        envs: VectorEnv,
        schedule: Schedule,
        difficulty: str | None,
        measure: str,
        *,
        train: TrainConfig,
        ppo: PPOConfig,
        forgetting: ForgettingConfig,
        device: torch.device,
        seed: int,
        solved_return: float | None = None,
    ):
        for option, parts in (
            ("--ppo.minibatches", ppo.minibatches),
            ("--forgetting.minibatches", forgetting.minibatches),
        ):
            if train.num_envs % parts:
                raise ValueError(
                    f"--train.num-envs {train.num_envs} is not divisible by {option} {parts}: "
                    "change one of them"
                )
        if ppo.normalize_values and not keeps_value_stats(agent):
            raise ValueError(
                f"--ppo.normalize-values needs an agent with update_value_stats(), which "
                f"{type(agent).__name__} has not: leave it off"
            )
        self.agent, self.envs, self.schedule = agent, envs, schedule
        self.difficulty, self.measure = difficulty, measure
        self.train, self.ppo, self.forgetting = train, ppo, forgetting
        self.set_level()
        self.actor = Actor(envs, agent, device, seed, solved_return)
        self.joint = forgetting.method == "joint"
        self.spans = agent.span_parameters()
        apart = set() if self.joint else {id(p) for p in self.spans}
        self.learned_with_ppo = [p for p in agent.parameters() if id(p) not in apart]
        self.optimizer = torch.optim.Adam(self.learned_with_ppo, lr=ppo.learning_rate, eps=1e-5)
        self.span_optimizer = torch.optim.SGD(
            [{"params": self.spans}], lr=forgetting.learning_rate, momentum=forgetting.momentum
        )
        self.recent = Recent()
        self.skips = Skips(train.most_skipped)
        self.env_faults = 0
        self.faults: list[str] = []
        """What was wrong with environments that were rebuilt during the last update."""
        self.updates = 0
        self.learn_seconds = 0.0
        self.good: list[dict[str, Any]] = []

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
        """T of the next rollout."""
        first = self.train.rollout_length
        last = self.train.longest_rollout or first
        return round(first * (last / first) ** self.schedule.curriculum.progress)

    def set_level(self) -> None:
        """Tell the environments the curriculum's level."""
        if self.schedule.curriculum.options:
            cast(Changeable, self.envs.unwrapped).change(**self.schedule.curriculum.options)

    def update(self) -> dict[str, float]:
        """Collect one rollout, learn from it, and return what is worth logging.

        Raises:
            EnvFaultError: an environment failed; the weights are those of the last update.
            NonFiniteLossError: loss or gradient was not finite too often in a row; the weights are
                those before the first of these minibatches.
        """
        rollout = collect(self.actor, self.rollout_length)
        self.faults = self.actor.take_faults()
        self.env_faults += len(self.faults)
        plan = self.schedule.plan()
        began = perf_counter()
        stats = self._learn(rollout, plan)
        self.actor.memory = self.agent.refresh(self.actor.memory)
        self.learn_seconds += perf_counter() - began
        self.updates += 1
        self._follow(self.steps + rollout.action.numel())
        logged: dict[str, Any] = {
            "steps": self.steps,
            "phase": plan.phase,
            "level": self.schedule.curriculum.level,
            "upper_half_success": self.schedule.curriculum.success,
            "alpha": plan.alpha_share * self.forgetting.alpha,
            "learning_rate": plan.rate * self.ppo.learning_rate,
            "skipped_updates": self.skips.total,
            "env_faults": self.env_faults,
        }
        return logged | self.recent.summary(self.schedule.curriculum.level) | stats

    def _learn(self, rollout: Rollout[M], plan: Plan) -> dict[str, float]:
        if plan.phase != "forget":
            return self._improve(rollout, plan, self.learned_with_ppo, self.ppo)
        agent = cast(ForgettingAgent[M], self.agent)
        stats = {}
        if plan.rate > 0:
            features = {id(p) for p in agent.feature_parameters()}
            adapting = [p for p in self.learned_with_ppo if id(p) not in features]
            stats = self._improve(rollout, plan, adapting, replace(self.ppo, epochs=1))
        self._only_these_learn(self.spans)
        set_rate(self.span_optimizer, plan.span_rate * self.forgetting.learning_rate)
        return stats | forget_update(
            agent,
            self.span_optimizer,
            rollout,
            self.forgetting,
            alpha=plan.alpha_share * self.forgetting.alpha,
            skips=self.skips,
        )

    def _improve(
        self, rollout: Rollout[M], plan: Plan, parameters: list[nn.Parameter], ppo: PPOConfig
    ) -> dict[str, float]:
        """Let `parameters` learn from the rewards of `rollout`."""
        self._only_these_learn(parameters)
        set_rate(self.optimizer, plan.rate * ppo.learning_rate)
        return ppo_update(
            self.agent,
            parameters,
            self.optimizer,
            rollout,
            ppo,
            entropy_cost=plan.entropy_cost,
            span_cost=self.forgetting.joint_alpha if self.joint else 0.0,
            skips=self.skips,
        )

    def _follow(self, steps: int) -> None:
        """Let the schedule see the finished episodes, and do what it says."""
        episodes = self.actor.take_episodes()
        self.recent.add(episodes, self.difficulty)
        before = self.schedule.phase
        move = self.schedule.observe(steps, by_key(episodes, self.difficulty, self.measure))
        if move == "advance":
            self.good = [*self.good, self._weights()][-GOOD_WEIGHTS:]
        elif move == "retreat" and self.good:
            self._restore(self.good.pop())
        if move is not None:
            self.set_level()
        if before != "forget" and self.schedule.phase == "forget":
            self._begin_forgetting()

    def _begin_forgetting(self) -> None:
        rollout = collect(self.actor, self.rollout_length)
        cast(ForgettingAgent[M], self.agent).calibrate_spans(rollout.acted_on, rollout.memory)
        self.actor.memory = self.agent.refresh(self.actor.memory)

    def _only_these_learn(self, parameters: list[nn.Parameter]) -> None:
        chosen = {id(p) for p in parameters}
        for p in self.agent.parameters():
            p.requires_grad_(id(p) in chosen)

    def _weights(self) -> dict[str, Any]:
        agent = {name: value.clone() for name, value in self.agent.state_dict().items()}
        return {"agent": agent, "optimizer": optimizer_state(self.optimizer)}

    def _restore(self, weights: dict[str, Any]) -> None:
        self._set_weights(weights)
        self.actor.memory = self.agent.refresh(self.actor.memory)

    def _set_weights(self, weights: dict[str, Any]) -> None:
        check_fit(weights["agent"], self.agent.state_dict(), "agent")
        load_optimizer_state(self.optimizer, weights["optimizer"], "optimizer")
        self.agent.load_state_dict(weights["agent"])

    @property
    def exact(self) -> bool:
        """Whether a checkpoint holds all there is: the environments can save themselves."""
        return isinstance(self.envs, Resumable)

    @property
    def score(self) -> tuple[int, float] | None:
        """What checkpoints are compared by: level and success there; None before it is known.

        Where nothing tells success, the mean return.
        """
        curriculum = self.schedule.curriculum
        if not curriculum.measured:
            return None
        untold = math.isnan(curriculum.success)
        return curriculum.index, self.recent.mean_return if untold else curriculum.success

    @property
    def sound(self) -> bool:
        """Whether the last minibatch could be learned from: if not, the weights may be bad."""
        return self.skips.in_a_row == 0

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all that decides how training goes on, random generators included."""
        return {
            **self._weights(),
            "span_optimizer": optimizer_state(self.span_optimizer),
            "schedule": self.schedule.state_dict(),
            "recent": self.recent.state_dict(),
            "updates": self.updates,
            "counts": {"skipped_updates": self.skips.total, "env_faults": self.env_faults},
            "good": list(self.good),
            "actor": self.actor.state_dict(),
            "random": random_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`: on the same machine's CPU just as if there had been no stop.

        Environments that cannot be saved begin new episodes (see `exact`).

        Raises:
            ValueError: `state` is not that of such a trainer; all is as it was before.
        """
        before = self.state_dict()
        try:
            self._load(state)
        except REFUSALS as error:
            self._load(before)
            raise ValueError(" ".join(str(error).split())[:300]) from error

    def _load(self, state: dict[str, Any]) -> None:
        keys = ("agent", "optimizer", "span_optimizer", "schedule", "recent", "updates", "good")
        check_keys(state, (*keys, "counts", "actor", "random"), "the state")
        check_keys(state["counts"], ("skipped_updates", "env_faults"), "counts")
        skipped, faults = (
            number(state["counts"][name], int, 0, MOST_STEPS, f"counts/{name}")
            for name in ("skipped_updates", "env_faults")
        )
        updates = number(state["updates"], int, 0, MOST_STEPS, "updates")
        if not isinstance(state["good"], list):
            raise ValueError("good is no list")
        for weights in state["good"]:
            check_keys(weights, ("agent", "optimizer"), "good")
        for weights in [*state["good"], state]:  # good ones are tried on: they must fit, too
            self._set_weights(weights)
        load_optimizer_state(self.span_optimizer, state["span_optimizer"], "span_optimizer")
        self.schedule.load_state_dict(state["schedule"])
        self.recent.load_state_dict(state["recent"])
        self.updates, self.good = updates, list(state["good"])
        self.skips.total, self.skips.in_a_row, self.env_faults = skipped, 0, faults
        self.set_level()
        self.actor.load_state_dict(state["actor"])
        self._try_acting()
        set_random_state(state["random"])

    def _try_acting(self) -> None:
        """Act once, without consequences: numbers that fit, but make no sense, show here."""
        output, _ = self.agent.act(self.actor.step, self.actor.memory.snapshot())
        if not bool(output.logits.isfinite().all() & output.value.isfinite().all()):
            raise ValueError("with it the agent's policy is not finite")


def keeps_value_stats(agent: Agent[M]) -> bool:
    """Whether `agent` can scale its values by running statistics of the returns."""
    return type(agent).update_value_stats is not Agent.update_value_stats


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let `optimizer` go on at the learning rate `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def train(
    trainer: Trainer[M],
    *,
    report: Callable[[dict[str, Any]], None],
    save: Callable[[], None],
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Update until the schedule says it is finished, or `stop` says so.

    Args:
        trainer: what to train.
        report: called after every update with what is worth logging.
        save: called every `checkpoint_every` updates, after `LONGEST_UNSAVED` seconds, and at the
            end.
        stop: asked between updates, the only time when a checkpoint holds all there is.

    Nothing is saved while the losses are not finite: the weights they come from are not good.

    Returns:
        Whether training came to its end.

    Raises:
        EnvFaultError: an environment failed; if environments are not saved with their episodes,
            what was learned up to then has been saved.
        NonFiniteLossError: of `Trainer.update`; the last checkpoint is the last good one.
    """
    saved_at = monotonic()
    while not trainer.finished and not stop():
        try:
            report(trainer.update())
        except EnvFaultError:
            if not trainer.exact and trainer.sound:
                save()
            raise
        if not trainer.sound:
            continue
        due = trainer.updates % trainer.train.checkpoint_every == 0
        if due or monotonic() - saved_at >= LONGEST_UNSAVED:
            save()
            saved_at = monotonic()
    save()
    return trainer.finished
