"""The straight line: act, collect, learn, report, again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Generic, Protocol, cast

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from rl_expire.curriculum import by_key
from rl_expire.forgetting import Forgetful, ForgettingConfig, forget_update
from rl_expire.governor import Governor, Plan, Recent
from rl_expire.ppo import PPOConfig, ppo_update
from rl_expire.rollout import Actor, collect
from rl_expire.types import Agent, M, Rollout

GOOD_WEIGHTS = 6
"""How many levels back the weights that mastered each are kept, for a collapse."""


@dataclass(frozen=True)
class TrainConfig:
    """The training run."""

    total_steps: int = 12_000_000
    """The most environment steps; training ends sooner once forgetting is done."""
    num_envs: int = 128
    """Environments stepped together, B."""
    rollout_length: int = 32
    """Steps of each environment between updates, T."""
    checkpoint_every: int = 100
    """Updates between checkpoints."""

    def __post_init__(self) -> None:
        for name in ("total_steps", "num_envs", "rollout_length", "checkpoint_every"):
            if getattr(self, name) < 1:
                option = "--train." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose 1 or more")


class Changeable(Protocol):
    """What an environment needs for a curriculum."""

    def change(self, **options: int) -> None:
        """Change options from each environment's next episode on."""


class Trainer(Generic[M]):
    """Everything one training run holds, and its update.

    Args:
        agent: also an `nn.Module`, and `Forgetful` if it has lifetimes.
        envs: a vector environment that autoresets, with a method `change(**options)` that takes
            the options of the curriculum's levels, from each one's next episode on.
        governor: decides what each update does.
        difficulty: the key of the environments' info that says how hard an episode was, on the
            scale of the curriculum's levels.
        measure: the key that says, as an episode ends, how well it went; 1 is perfect.
        train: sizes and budget.
        ppo: the learner of the policy.
        forgetting: the learner of the lifetimes.
        device: where agent and rollouts live.
        seed: of the environments.
    """

    def __init__(
        self,
        agent: Agent[M],
        envs: VectorEnv,
        governor: Governor,
        difficulty: str,
        measure: str,
        *,
        train: TrainConfig,
        ppo: PPOConfig,
        forgetting: ForgettingConfig,
        device: torch.device,
        seed: int,
    ):
        assert isinstance(agent, nn.Module)
        for option, parts in (
            ("--ppo.minibatches", ppo.minibatches),
            ("--forgetting.minibatches", forgetting.minibatches),
        ):
            if train.num_envs % parts:
                raise ValueError(
                    f"--train.num-envs {train.num_envs} is not divisible by {option} {parts}: "
                    "change one of them"
                )
        self.agent, self.module, self.envs, self.governor = agent, agent, envs, governor
        self.difficulty, self.measure = difficulty, measure
        self.train, self.ppo, self.forgetting = train, ppo, forgetting
        self.set_level()
        self.actor = Actor(envs, agent, device, seed)
        self.joint = forgetting.method == "joint"
        self.spans = agent.span_parameters()
        apart = set() if self.joint else {id(p) for p in self.spans}
        self.learned_with_ppo = [p for p in agent.parameters() if id(p) not in apart]
        self.optimizer = torch.optim.Adam(self.learned_with_ppo, lr=ppo.learning_rate, eps=1e-5)
        self.span_optimizer = torch.optim.SGD(
            [{"params": self.spans}], lr=forgetting.learning_rate, momentum=forgetting.momentum
        )
        self.recent = Recent()
        self.updates = 0
        self.learn_seconds = 0.0
        self.good: list[dict[str, Any]] = []

    @property
    def steps(self) -> int:
        """Environment steps taken so far."""
        return self.governor.steps

    @property
    def finished(self) -> bool:
        """Whether training is over."""
        return self.governor.remaining_steps == 0

    def set_level(self) -> None:
        """Tell the environments the curriculum's level."""
        cast(Changeable, self.envs.unwrapped).change(**self.governor.curriculum.options)

    def update(self) -> dict[str, float]:
        """Collect one rollout, learn from it, and return what is worth logging.

        Raises:
            NonFiniteLossError: the loss or its gradient was not finite; the weights are those
                before the minibatch that it describes.
        """
        rollout = collect(self.actor, self.train.rollout_length)
        plan = self.governor.plan()
        began = perf_counter()
        stats = self._learn(rollout, plan)
        self.actor.memory = self.agent.refresh(self.actor.memory)
        self.learn_seconds += perf_counter() - began
        self.updates += 1
        self._follow(self.steps + rollout.action.numel())
        logged: dict[str, Any] = {
            "steps": self.steps,
            "phase": plan.phase,
            "level": self.governor.curriculum.level,
            "upper_half_success": self.governor.curriculum.success,
            "alpha": plan.alpha_share * self.forgetting.alpha,
            "learning_rate": plan.rate * self.ppo.learning_rate,
        }
        return logged | self.recent.summary(self.governor.curriculum.level) | stats

    def _learn(self, rollout: Rollout[M], plan: Plan) -> dict[str, float]:
        if plan.phase != "forget":
            return self._improve(rollout, plan, self.learned_with_ppo, self.ppo)
        agent = cast(Forgetful[M], self.agent)
        stats = {}
        if plan.rate > 0:
            features = {id(p) for p in agent.feature_parameters()}
            adapting = [p for p in self.learned_with_ppo if id(p) not in features]
            stats = self._improve(rollout, plan, adapting, replace(self.ppo, epochs=1))
        self._only_these_learn(self.spans)
        return stats | forget_update(
            agent,
            self.span_optimizer,
            rollout,
            self.forgetting,
            alpha=plan.alpha_share * self.forgetting.alpha,
        )

    def _improve(
        self, rollout: Rollout[M], plan: Plan, parameters: list[nn.Parameter], ppo: PPOConfig
    ) -> dict[str, float]:
        """Let `parameters` learn from the rewards of `rollout`."""
        self._only_these_learn(parameters)
        for group in self.optimizer.param_groups:
            group["lr"] = plan.rate * ppo.learning_rate
        return ppo_update(
            self.agent,
            parameters,
            self.optimizer,
            rollout,
            ppo,
            entropy_cost=plan.entropy_cost,
            span_cost=self.forgetting.joint_alpha if self.joint else 0.0,
        )

    def _follow(self, steps: int) -> None:
        """Let the governor see the finished episodes, and do what it says."""
        episodes = self.actor.take_episodes()
        self.recent.add(episodes, self.difficulty)
        before = self.governor.phase
        move = self.governor.observe(steps, by_key(episodes, self.difficulty, self.measure))
        if move == "advance":
            self.good = [*self.good, self._weights()][-GOOD_WEIGHTS:]
        elif move == "retreat" and self.good:
            self._restore(self.good.pop())
        if move is not None:
            self.set_level()
        if before != "forget" and self.governor.phase == "forget":
            self._begin_forgetting()

    def _begin_forgetting(self) -> None:
        rollout = collect(self.actor, self.train.rollout_length)
        steps = rollout.steps.map(lambda x: x[: self.train.rollout_length])
        cast(Forgetful[M], self.agent).calibrate_spans(steps, rollout.memory)
        self.actor.memory = self.agent.refresh(self.actor.memory)

    def _only_these_learn(self, parameters: list[nn.Parameter]) -> None:
        chosen = {id(p) for p in parameters}
        for p in self.module.parameters():
            p.requires_grad_(id(p) in chosen)

    def _weights(self) -> dict[str, Any]:
        return copy.deepcopy(
            {"agent": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        )

    def _restore(self, weights: dict[str, Any]) -> None:
        self.module.load_state_dict(weights["agent"])
        self.optimizer.load_state_dict(weights["optimizer"])
        self.actor.memory = self.agent.refresh(self.actor.memory)

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizers and plans; environments begin new episodes on resuming."""
        return {
            **self._weights(),
            "span_optimizer": self.span_optimizer.state_dict(),
            "governor": self.governor.state_dict(),
            "updates": self.updates,
            "good": self.good,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._restore(state)
        self.span_optimizer.load_state_dict(state["span_optimizer"])
        for group in self.span_optimizer.param_groups:
            group["lr"] = self.forgetting.learning_rate
        self.governor.load_state_dict(state["governor"])
        self.updates, self.good = state["updates"], state["good"]
        self.set_level()


def train(
    trainer: Trainer[M],
    *,
    report: Callable[[dict[str, Any]], None],
    save: Callable[[], None],
) -> bool:
    """Update until the governor says it is finished.

    Args:
        trainer: what to train.
        report: called after every update with what is worth logging.
        save: called every `checkpoint_every` updates, and at the end.

    Returns:
        True when training came to its end, False when Ctrl-C stopped it; both are saved.
    """
    try:
        while not trainer.finished:
            report(trainer.update())
            if trainer.updates % trainer.train.checkpoint_every == 0:
                save()
    except KeyboardInterrupt:
        save()
        return False
    save()
    return True
