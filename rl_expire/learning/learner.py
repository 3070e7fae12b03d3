"""Learn from a rollout as the schedule plans: the policy, and what to forget."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any, Generic, cast

import torch
from torch import nn

from rl_expire.learning import ranks
from rl_expire.learning.forgetting import Forgetting, ForgettingAgent, ForgettingConfig
from rl_expire.learning.impala import impala_update
from rl_expire.learning.nonfinite import SkipCounter
from rl_expire.learning.optim import frozen, set_learning_rate
from rl_expire.learning.optimizer_state import load_optimizer_state, optimizer_state
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.schedule import Plan
from rl_expire.types import Agent, M, Rollout
from rl_expire.validate import check_fit, check_keys

WEIGHTS_KEPT = 6
"""Number of levels whose mastering weights are kept, to be restored after a collapse."""
ENOUGH_CHOICES = 32
"""Number of choices in the rollouts of all ranks from which the policy learns at its full rate."""
LEAST_EFFORT = 0.1
"""Smallest factor on the learning rate of the policy."""
SMALL_STEP = 0.4
"""Factor on the learning rate below which fewer passes are made rather than smaller steps: the
weights change as much for less work."""
IMPALA_RATE = 1 / 3
"""Factor on the learning rate for IMPALA. Nothing clips its steps: at PPO's rate, the policy moved
by 2 nats in one pass over a rollout of the Corridor, and collapsed."""
SPAN_STEPS = 4
"""Steps in a pass over a rollout for which the learning rate of the spans is meant; where there are
more, each is smaller."""
SPAN_MOMENTUM = 0.9
"""Momentum of the optimizer of the spans."""
STATE = ("agent", "optimizer", "span_optimizer", "mastered")
"""Keys of a learner's state."""


class Learner(Generic[M]):
    """An agent with its optimizers, and the weights that mastered earlier levels.

    Args:
        agent: the policy; a `ForgettingAgent` if it has spans.
        ppo: options for learning the policy.
        forgetting: options for learning the spans.
        max_skips: number of consecutive minibatches without a finite loss to tolerate.
        impala: learn by IMPALA instead of PPO.
    """

    def __init__(
        self,
        agent: Agent[M],
        ppo: PPOConfig,
        forgetting: ForgettingConfig,
        max_skips: int,
        *,
        impala: bool = False,
    ):
        """Create the optimizers."""
        self.agent, self.ppo, self.forgetting, self.impala = agent, ppo, forgetting, impala
        self.joint = forgetting.method == "joint"
        spans = agent.span_parameters()
        separate = set() if self.joint else {id(p) for p in spans}
        policy = [p for p in agent.parameters() if id(p) not in separate]
        self.optimizer = torch.optim.Adam(policy, lr=ppo.learning_rate, eps=1e-5, fused=True)
        self.span_optimizer = torch.optim.SGD(
            [{"params": spans}],
            lr=forgetting.learning_rate,
            momentum=SPAN_MOMENTUM,
        )
        self.skips = SkipCounter(max_skips)
        self.mastered: list[dict[str, Any]] = []

    def update(self, rollout: Rollout[M], plan: Plan, minibatches: int) -> dict[str, float]:
        """Learn from `rollout`, and return scalars to log.

        Args:
            rollout: T steps of B environments.
            plan: what to do.
            minibatches: number of minibatches that PPO divides the environments into.

        Raises:
            NonFiniteLossError: too many consecutive minibatches had no finite loss or gradient; the
                weights are those before the first of them.
        """
        if not self.ppo.choices_only:
            rollout = replace(rollout, choice=torch.ones_like(rollout.choice))
        passes, rate = self._pace(plan, _effort(rollout))
        set_learning_rate(self.optimizer, rate * self.ppo.learning_rate)
        update = impala_update if self.impala else ppo_update
        with frozen(self._fixed(plan)):
            return update(
                self.agent,
                self.optimizer,
                rollout,
                replace(self.ppo, minibatches=minibatches, epochs=passes),
                entropy_cost=plan.entropy_cost,
                span_cost=self.forgetting.joint_alpha if self.joint else 0.0,
                forgetting=self._forgetting(plan, minibatches) if plan.span_rate > 0 else None,
                skips=self.skips,
            )

    def _fixed(self, plan: Plan) -> list[nn.Parameter]:
        """Return the parameters that do not learn: while settling, lifetimes stay as they are."""
        if plan.phase != "settle" or self.forgetting.method != "distillation":
            return []
        return cast(ForgettingAgent[M], self.agent).lifetime_inputs()

    def _pace(self, plan: Plan, effort: float) -> tuple[int, float]:
        """Return the passes over a rollout, and the factor on the policy's learning rate.

        Args:
            plan: what to do.
            effort: what `_effort` returned.
        """
        if self.impala:
            return 1, IMPALA_RATE * plan.rate * effort
        most = ceil(effort * self.ppo.epochs)
        change = plan.rate * effort * most  # of the weights, in passes at the whole rate
        passes = min(most, max(1, ceil(change / SMALL_STEP)))
        return passes, change / passes

    def _forgetting(self, plan: Plan, minibatches: int) -> Forgetting[M]:
        """Return what learns the spans as planned, as fast in many minibatches as in few."""
        rate = plan.span_rate * min(1.0, SPAN_STEPS / minibatches)
        set_learning_rate(self.span_optimizer, rate * self.forgetting.learning_rate)
        return Forgetting(
            cast(ForgettingAgent[M], self.agent),
            self.span_optimizer,
            self.forgetting,
            alpha=plan.price * self.forgetting.alpha,
        )

    def keep_weights(self) -> None:
        """Keep the current weights as those that mastered the level."""
        self.mastered = [*self.mastered, self._weights()][-WEIGHTS_KEPT:]

    def restore_weights(self) -> bool:
        """Restore the weights kept last, and drop them; return whether there were any."""
        if not self.mastered:
            return False
        self._load_weights(self.mastered.pop())
        self.span_optimizer.state.clear()
        return True

    def _weights(self) -> dict[str, Any]:
        """Return copies of the agent's weights and of the state of the policy's optimizer."""
        weights = {name: value.clone() for name, value in self.agent.state_dict().items()}
        return {"agent": weights, "optimizer": optimizer_state(self.optimizer)}

    def _load_weights(self, weights: dict[str, Any]) -> None:
        """Restore what `_weights` returned.

        Raises:
            ValueError: it does not fit the agent.
        """
        check_fit(weights["agent"], self.agent.state_dict(), "agent")
        load_optimizer_state(self.optimizer, weights["optimizer"], "optimizer")
        self.agent.load_state_dict(weights["agent"])

    def state_dict(self) -> dict[str, Any]:
        """Return copies of weights and optimizer states."""
        return {
            **self._weights(),
            "span_optimizer": optimizer_state(self.span_optimizer),
            "mastered": list(self.mastered),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: `state` does not fit the agent; it may have been restored in part.
        """
        check_keys(state, STATE, "learner")
        if not isinstance(state["mastered"], list):
            raise ValueError("mastered is not a list")
        for weights in state["mastered"]:
            check_keys(weights, ("agent", "optimizer"), "mastered")
        for weights in [*state["mastered"], state]:  # loading checks that each of them fits
            self._load_weights(weights)
        load_optimizer_state(self.span_optimizer, state["span_optimizer"], "span_optimizer")
        self.mastered = list(state["mastered"])


def _effort(rollout: Rollout[M]) -> float:
    """Return the factor, from 0.1 to 1, on the policy's learning rate and passes over a rollout.

    Where an episode of thousands of steps has one choice, a rollout holds hardly any. Updates are
    then mostly noise, which wears the policy down unless they are smaller.
    """
    choices = ranks.total(int((rollout.choice & rollout.valid).sum()))
    return min(1.0, max(LEAST_EFFORT, choices / ENOUGH_CHOICES))
