"""Learning what to forget: keep only the memories whose fading would change what the agent does.

The agent is asked twice about the same steps: once with its memories fading, once with every memory
it still holds counting fully. The difference between the two answers says, at every step and
without the noise of returns, whether a fading memory still matters. The spans alone learn from it,
against a small price on their length. In the first answer memories fade ahead of time, so that what
is needed is missed before it is lost.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rl_expire.learning.nonfinite import Skips
from rl_expire.learning.ppo import (
    average,
    batch_to_describe,
    masked_mean,
    minibatches,
    span_stats,
    step_optimizer,
)
from rl_expire.types import Agent, AgentOutput, M, Rollout, TimeStep


@dataclass(frozen=True)
class ForgettingConfig:
    """Learning what to forget, once the task is solved."""

    method: Literal["after-learning", "joint", "never"] = "after-learning"
    """`after-learning`: solve the task, then let the spans alone learn, by self-distillation.
    `joint`: the paper's own way, spans learn with everything else, from the task's loss and alpha.
    `never`: every memory lives for its initial span."""
    alpha: float = 0.03
    """Price of memory after learning: weight of the mean logarithm of lifetimes in the loss. Memory
    that lives half as long saves the same whether it was 300 steps or 30."""
    joint_alpha: float = 1e-5
    """Price of memory in joint training: weight of the mean span itself, as in the paper."""
    steps: int = 2_500_000
    """Environment steps of the forgetting phase."""
    tolerance: float = 0.03
    """Share of the score, lost while forgetting, at which alpha is withheld entirely."""
    early: float = 0.3
    """Share of its lifetime for which a memory fades ahead of time in the eyes of what learns, so
    that one that is needed is missed before it is lost."""
    learning_rate: float = 0.05
    """Rate of plain SGD with momentum on the spans (Adam would blow a small, steady pull up)."""
    momentum: float = 0.9
    """Momentum of the same."""
    max_grad_norm: float = 0.3
    """Gradients of the spans are scaled down to this norm."""
    minibatches: int = 4
    """Steps of the optimizer on each rollout; each holds whole sequences of some environments."""

    def __post_init__(self) -> None:
        for name in ("alpha", "joint_alpha"):
            if not getattr(self, name) >= 0:
                option = "--forgetting." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose 0 or more")
        for name in ("learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                option = "--forgetting." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose a number above 0")
        for name in ("early", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"--forgetting.{name} is {getattr(self, name)}: choose one in [0, 1)"
                )
        if self.steps < 1:
            raise ValueError(f"--forgetting.steps is {self.steps}: choose 1 or more")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"--forgetting.tolerance is {self.tolerance}: choose one in (0, 1)")
        if self.minibatches < 1:
            raise ValueError(f"--forgetting.minibatches is {self.minibatches}: choose 1 or more")


class ForgettingAgent(Agent[M]):
    """An agent whose memories carry learned lifetimes."""

    @abstractmethod
    def unroll(self, steps: TimeStep, memory: M, *, early: float | None = 0.0) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients; leave `memory` unchanged.

        Args:
            steps: `[T, B]`.
            memory: the agent's memory before the first of them.
            early: share of its lifetime for which a memory has faded ahead of time; None: every
                memory that is still held counts fully.
        """

    @abstractmethod
    def feature_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that compute the inputs of lifetimes: frozen while forgetting."""

    @abstractmethod
    def calibrate_spans(self, steps: TimeStep, memory: M) -> None:
        """Measure, on `steps [T, B]`, the statistics that lifetimes are computed from."""


def distillation(faded: AgentOutput, unfaded: AgentOutput, valid: Tensor, choice: Tensor) -> Tensor:
    """KL(unfaded || faded) of the policies plus half the values' squared difference, in their unit.

    Args:
        faded: what the agent says as it is.
        unfaded: what it would say if no memory had faded.
        valid: `[T, B]` bool, the steps that count.
        choice: `[T, B]` bool, those where the policy makes any difference.

    Returns:
        The mean over the valid steps, `[]`.
    """
    teacher = torch.log_softmax(unfaded.logits, -1)
    student = torch.log_softmax(faded.logits, -1)
    kl = (teacher.exp() * (teacher - student)).sum(-1)
    missed = (unfaded.value - faded.value) / faded.value_scale
    return masked_mean(kl * choice + 0.5 * missed.pow(2), valid)


def forget_update(
    agent: ForgettingAgent[M],
    optimizer: torch.optim.Optimizer,
    rollout: Rollout[M],
    config: ForgettingConfig,
    *,
    alpha: float,
    skips: Skips | None = None,
) -> dict[str, float]:
    """Improve the spans on one rollout; everything else is left alone.

    Returns:
        Means over the minibatches, those left out aside, of the distillation loss and the agent's
        diagnostics.

    Raises:
        NonFiniteLossError: with the loss, and the ranges of the minibatch; the weights are those
            before it. With `skips`, only after too many of them in a row.
    """
    seen: dict[str, list[Tensor]] = defaultdict(list)
    parameters = agent.span_parameters()
    rows = rollout.action.shape[1]
    for index in minibatches(rows, config.minibatches, rollout.action.device):
        part = rollout.select(index)
        steps = part.acted_on
        with torch.no_grad():
            unfaded = agent.unroll(steps, part.memory, early=None)
        faded = agent.unroll(steps, part.memory, early=config.early)
        change = distillation(faded, unfaded, part.valid, part.choice)
        norm = step_optimizer(
            optimizer,
            change + alpha * faded.span_penalty,
            parameters,
            config.max_grad_norm,
            batch_to_describe(part, faded),
            skips,
        )
        if norm is None:
            continue
        stats = {"distillation": change.detach(), "span_grad_norm": norm}
        for name, value in (stats | faded.diagnostics | span_stats(faded.spans, part)).items():
            seen[name].append(value)
    return average(seen)
