"""Learn what to forget: keep only the memories whose fading would change what the agent does.

The agent replays the same steps twice: as it acted, and with its memories fading ahead of time. The
difference between the two outputs shows, at every step and without the noise of returns, whether a
memory that is going to fade still matters, and so before it is lost. Only the spans learn from it,
against a small penalty on their length.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal

import torch
from torch import Tensor, nn

from rl_expire.actions import ActionDistribution
from rl_expire.learning import ranks
from rl_expire.learning.optim import MeanMetrics, frozen, masked_mean, others, span_stats
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

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "alpha", "joint_alpha", least=0)
        check_range(self, "learning_rate", "max_grad_norm", above=0)
        check_range(self, "early", above=0, below=1)


class ForgettingAgent(Agent[M]):
    """An agent whose memories have learned lifetimes, called spans."""

    @abstractmethod
    def unroll(self, steps: TimeStep, memory: M, *, early: float = 0.0) -> AgentOutput:
        """Replay `steps` from `memory` with gradients; leave `memory` unchanged.

        Args:
            steps: `[T, B]`.
            memory: the agent's memory before the first step.
            early: fraction of its span by which a memory fades ahead of time.
        """

    @abstractmethod
    def lifetime_inputs(self) -> list[nn.Parameter]:
        """Return the parameters that the inputs of lifetimes are computed from."""

    @abstractmethod
    def set_horizon(self, age: float) -> None:
        """Set the age up to which training tests memories; longer lifetimes never end.

        Args:
            age: in steps.
        """

    @abstractmethod
    def with_pace(self, memory: M, pace: Tensor) -> M:
        """Return `memory`, whose rows' memories age by `pace [B]` in a step from now on."""

    @abstractmethod
    def calibrate_spans(self, steps: TimeStep, memory: M) -> None:
        """Measure the statistics of the spans' inputs on `steps [T, B]`, before forgetting."""


def distillation(
    student: AgentOutput,
    teacher: AgentOutput,
    actions: ActionDistribution,
    valid: Tensor,
    choice: Tensor,
) -> tuple[Tensor, Tensor]:
    """Compare the answers with memories fading ahead of time to those of acting.

    Args:
        student: output with memories fading ahead of time.
        teacher: output with memories as they are while acting; it gets no gradient.
        actions: the agent's.
        valid: `[T, B]` bool, the steps to average over.
        choice: `[T, B]` bool, the steps at which the action matters; others have no KL term.

    Returns:
        The loss `[]`: KL(teacher || student) of the policies plus half the squared difference of
        the values in units of `student.value_scale`, as a mean over valid steps. And the KL
        `[T, B]` at the valid steps that offer a choice, 0 elsewhere.
    """
    kl = actions.kl(teacher.logits.detach(), student.logits) * (choice & valid)
    value_error = (teacher.value.detach() - student.value) / student.value_scale
    # In floating point, the divergence of almost equal policies may come out below zero.
    return masked_mean(kl + 0.5 * value_error.pow(2), valid), kl.detach().clamp(min=0.0)


class Forgetting(Generic[M]):
    """The loss of the spans on the minibatches of one rollout, and statistics of it.

    Args:
        agent: the agent that collected the rollout.
        optimizer: optimizer of the agent's span parameters.
        config: options.
        alpha: weight of the span penalty.
    """

    def __init__(
        self,
        agent: ForgettingAgent[M],
        optimizer: torch.optim.Optimizer,
        config: ForgettingConfig,
        *,
        alpha: float,
    ):
        """Start with empty statistics."""
        self.agent, self.optimizer = agent, optimizer
        self.config, self.alpha = config, alpha
        self._others = others(agent, optimizer)
        self._metrics = MeanMetrics()
        self._missed, self._choices = torch.zeros(()), torch.zeros(())

    def loss(self, batch: Rollout[M], acted: AgentOutput) -> Tensor:
        """Return the loss `[]`, which has a gradient for the spans only.

        Args:
            batch: whole sequences of some environments.
            acted: the agent's output on it, with memories as they are while acting.
        """
        with frozen(self._others):
            student = self.agent.unroll(batch.acted_on, batch.memory, early=self.config.early)
        # Where memories age fast, the agent itself acts on too few.
        tells = batch.valid & (batch.pace <= 1)
        loss, kl = distillation(student, acted, self.agent.actions, tells, batch.choice)
        # A minibatch whose loss is not finite is skipped, and must not spoil the sum.
        self._missed = self._missed + kl.nan_to_num(0.0, 0.0, 0.0).sum()
        self._choices = self._choices + (batch.choice & tells).sum()
        self._metrics.add(
            {"distillation": loss.detach(), "span_penalty": student.span_penalty.detach()}
            | span_stats(student.spans, batch)
        )
        return loss + self.alpha * student.span_penalty

    def report(self) -> dict[str, float]:
        """Return statistics of the spans, and how much was missed.

        They are the distillation loss, the span penalty and the typical spans, averaged over the
        minibatches; `choices`, the number of steps that offered a choice, and `missed`, the mean KL
        divergence at these.
        """
        missed, choices = ranks.total(float(self._missed)), ranks.total(float(self._choices))
        missed = {"missed": missed / max(choices, 1.0), "choices": choices}
        return self._metrics.means() | missed
