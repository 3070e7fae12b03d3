"""Learning what to forget: keep only the memories whose fading would change what the agent does.

The agent is asked twice about the same steps: once with its memories fading, once with every memory
it still holds counting fully. The difference between the two answers says, at every step and
without the noise of returns, whether a fading memory still matters. The spans alone learn from it,
against a small constant price on their length; the rest of the agent stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from rl_expire.ppo import masked_mean, minibatches, step_optimizer
from rl_expire.types import Agent, Evaluation, M, Rollout, TimeStep


@dataclass(frozen=True)
class ForgettingConfig:
    """Learning what to forget, once the task is solved."""

    alpha: float = 1e-5
    """Price of a step of mean span, in the loss."""
    learning_rate: float = 0.05
    """Rate of plain SGD with momentum on the spans (Adam would blow a small, steady pull up)."""
    momentum: float = 0.9
    """Momentum of the same."""
    max_grad_norm: float = 0.05
    """Gradients of the spans are scaled down to this norm."""
    passes: int = 1
    """Passes over each rollout."""
    minibatches: int = 4
    """Parts of a pass."""


class Forgetful(Agent[M], Protocol[M]):
    """An agent whose memories carry learned lifetimes."""

    def evaluate(self, steps: TimeStep, memory: M, *, faded: bool = True) -> Evaluation:
        """As `Agent.evaluate`; `faded=False` lets every memory still held count fully."""
        ...

    def span_parameters(self) -> list[nn.Parameter]:
        """What decides the lifetimes."""
        ...


def distillation(faded: Evaluation, unfaded: Evaluation, valid: Tensor) -> Tensor:
    """KL(unfaded || faded) of the policies plus half the squared difference of the values: `[]`."""
    teacher = torch.log_softmax(unfaded.logits, -1)
    student = torch.log_softmax(faded.logits, -1)
    kl = (teacher.exp() * (teacher - student)).sum(-1)
    return masked_mean(kl + 0.5 * (unfaded.value - faded.value).pow(2), valid)


def forget_update(
    agent: Forgetful[M],
    optimizer: torch.optim.Optimizer,
    rollout: Rollout[M],
    config: ForgettingConfig,
    *,
    alpha: float,
) -> dict[str, float]:
    """Improve the spans on one rollout; everything else is left alone.

    Returns:
        Means over the minibatches of the distillation loss and the agent's diagnostics.
    """
    seen: dict[str, list[Tensor]] = defaultdict(list)
    parameters = agent.span_parameters()
    length, rows = rollout.action.shape
    for _ in range(config.passes):
        for index in minibatches(rows, config.minibatches, rollout.action.device):
            part = rollout.select(index)
            steps = part.steps.map(lambda x: x[:length])
            with torch.no_grad():
                unfaded = agent.evaluate(steps, part.memory, faded=False)
            faded = agent.evaluate(steps, part.memory, faded=True)
            change = distillation(faded, unfaded, part.valid)
            norm = step_optimizer(
                optimizer, change + alpha * faded.aux_loss, parameters, config.max_grad_norm
            )
            stats = {"distillation": change.detach(), "span_grad_norm": norm}
            for name, value in (stats | faded.diagnostics).items():
                seen[name].append(value)
    return {name: float(torch.stack(values).mean()) for name, values in seen.items()}


class frozen:  # noqa: N801
    """Context manager: `parameters` take no gradient inside."""

    def __init__(self, parameters: list[nn.Parameter]):
        self.parameters = parameters

    def __enter__(self) -> None:
        for p in self.parameters:
            p.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for p in self.parameters:
            p.requires_grad_(True)


