"""Learn what to forget: keep only the memories whose fading would change what the agent does.

The agent replays the same steps twice, once with its memories fading and once with every memory
that it still holds at full weight. The difference between the two outputs shows, at every step and
without the noise of returns, whether a fading memory still matters. Only the spans learn from it,
against a small penalty on their length. In the first replay memories fade ahead of time, so that a
memory that is needed is missed before it is lost.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rl_expire.learning.nonfinite import SkipCounter
from rl_expire.learning.optim import (
    MeanMetrics,
    masked_mean,
    minibatches,
    span_stats,
    step_optimizer,
    tensors_to_describe,
)
from rl_expire.types import Agent, AgentOutput, M, Rollout, TimeStep
from rl_expire.validate import check_range


@dataclass(frozen=True)
class ForgettingConfig:
    """Options for learning what to forget."""

    method: Literal["distillation", "joint", "never"] = "distillation"
    """`distillation`: spans learn by self-distillation, beside the policy, from the first mastered
    lessons on or, in a task of one level, once the score is near its goal.
    `joint`: the paper's method, spans learn with all other parameters from the task's loss.
    `never`: every memory lives for its initial span."""
    alpha: float = 0.03
    """Weight of the span penalty, the mean logarithm of spans, for `distillation`. Halving a span
    gains the same whether it was 300 steps or 30. At the full task, the weight grows while the
    score is as good as it should be."""
    joint_alpha: float = 1e-5
    """Weight of the mean span in the loss for `joint`, as in the paper."""
    early: float = 0.3
    """Fraction of its span by which a memory fades ahead of time while spans are learned, so that
    a memory that is needed is missed before it is lost."""
    learning_rate: float = 0.05
    """Learning rate of the spans. The optimizer is SGD with momentum: Adam would amplify a small,
    steady gradient."""
    max_grad_norm: float = 0.3
    """Norm that the gradients of the spans are clipped to."""
    minibatches: int = 4
    """Optimizer steps on each rollout; a minibatch holds whole sequences of some environments."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "alpha", "joint_alpha", least=0)
        check_range(self, "learning_rate", "max_grad_norm", above=0)
        check_range(self, "early", above=0, below=1)
        check_range(self, "minibatches", least=1)


class ForgettingAgent(Agent[M]):
    """An agent whose memories have learned lifetimes, called spans."""

    @abstractmethod
    def unroll(self, steps: TimeStep, memory: M, *, early: float | None = 0.0) -> AgentOutput:
        """Replay `steps` from `memory` with gradients; leave `memory` unchanged.

        Args:
            steps: `[T, B]`.
            memory: the agent's memory before the first step.
            early: fraction of its span by which a memory fades ahead of time; None: every memory
                that is still held has full weight.
        """

    @abstractmethod
    def record_ages(self, memory: M) -> None:
        """Record how old memories have become: longer lifetimes have shown no end of their use."""

    @abstractmethod
    def calibrate_spans(self, steps: TimeStep, memory: M) -> None:
        """Measure the statistics of the spans' inputs on `steps [T, B]`, before forgetting."""


def distillation(
    faded: AgentOutput, unfaded: AgentOutput, valid: Tensor, choice: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare the answers with memories fading to those without.

    Args:
        faded: output with memories fading, the student.
        unfaded: output with all held memories at full weight, the teacher.
        valid: `[T, B]` bool, the steps to average over.
        choice: `[T, B]` bool, the steps at which the action matters; others have no KL term.

    Returns:
        The loss `[]`: KL(unfaded || faded) of the policies plus half the squared difference of the
        values in units of `faded.value_scale`, as a mean over valid steps. And the KL `[T, B]` at
        the valid steps that offer a choice, 0 elsewhere.
    """
    teacher = torch.log_softmax(unfaded.logits, -1)
    student = torch.log_softmax(faded.logits, -1)
    kl = (teacher.exp() * (teacher - student)).sum(-1) * (choice & valid)
    value_error = (unfaded.value - faded.value) / faded.value_scale
    # In floating point, the divergence of almost equal policies may come out below zero.
    return masked_mean(kl + 0.5 * value_error.pow(2), valid), kl.detach().clamp(min=0.0)


def forget_update(
    agent: ForgettingAgent[M],
    optimizer: torch.optim.Optimizer,
    rollout: Rollout[M],
    config: ForgettingConfig,
    *,
    alpha: float,
    skips: SkipCounter | None = None,
) -> dict[str, float]:
    """Update the spans on one rollout, and nothing else.

    Args:
        agent: the agent that collected the rollout.
        optimizer: optimizer of the agent's span parameters.
        rollout: T steps of B environments.
        config: options.
        alpha: weight of the span penalty.
        skips: see `step_optimizer`.

    Returns:
        The distillation loss and statistics of the spans, averaged over the minibatches that were
        not skipped; `choices`, the number of steps that offered a choice, and `missed`, the mean KL
        divergence at these.

    Raises:
        NonFiniteLossError: loss or gradient is not finite, and `skips` tolerates no more; the
            weights are those before the minibatch.
    """
    metrics = MeanMetrics()
    missed, choices = 0.0, 0.0
    parameters = agent.span_parameters()
    rows = rollout.action.shape[1]
    for index in minibatches(rows, config.minibatches, rollout.action.device):
        batch = rollout.select(index)
        steps = batch.acted_on
        with torch.no_grad():
            unfaded = agent.unroll(steps, batch.memory, early=None)
        faded = agent.unroll(steps, batch.memory, early=config.early)
        loss, kl = distillation(faded, unfaded, batch.valid, batch.choice)
        norm = step_optimizer(
            optimizer,
            loss + alpha * faded.span_penalty,
            parameters,
            config.max_grad_norm,
            tensors_to_describe(batch, faded),
            skips,
        )
        if norm is None:
            continue
        metrics.add({"distillation": loss.detach(), "span_grad_norm": norm})
        metrics.add({"span_penalty": faded.span_penalty.detach()})
        missed = missed + kl.sum()
        choices = choices + (batch.choice & batch.valid).sum()
        metrics.add(span_stats(faded.spans, batch))
    missed, choices = float(missed), float(choices)
    return metrics.means() | {"missed": missed / max(choices, 1.0), "choices": choices}
