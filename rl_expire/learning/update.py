"""Update an agent on one rollout, minibatch by minibatch, with the loss of any learner."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rl_expire.learning import ranks
from rl_expire.learning.forgetting import Forgetting
from rl_expire.learning.nonfinite import SkipCounter
from rl_expire.learning.optim import (
    MeanMetrics,
    frozen,
    minibatches,
    others,
    span_stats,
    step_optimizers,
    tensors_to_describe,
)
from rl_expire.types import Agent, AgentOutput, M, Rollout

Loss = tuple[Tensor, dict[str, Tensor]]
"""A loss `[]`, and scalars to log, among them `approx_kl`."""


def update(
    agent: Agent[M],
    optimizer: torch.optim.Optimizer,
    rollout: Rollout[M],
    loss_of: Callable[[AgentOutput, Rollout[M], Tensor], Loss],
    *,
    passes: int,
    parts: int,
    max_grad_norm: float,
    stop_kl: float | None = None,
    span_cost: float = 0.0,
    forgetting: Forgetting[M] | None = None,
    skips: SkipCounter | None = None,
    **described: Tensor,
) -> dict[str, float]:
    """Update the agent on one rollout, and then its statistics of observations.

    Args:
        agent: the agent that collected the rollout.
        optimizer: optimizer of the parameters that learn; others get no gradient.
        rollout: T steps of B environments.
        loss_of: returns the loss of the agent's output on a minibatch; its last argument is the
            minibatch's rows of the rollout.
        passes: passes over the rollout.
        parts: minibatches of a pass.
        max_grad_norm: norm that gradients are clipped to.
        stop_kl: KL divergence from the acting policy, averaged over a pass, at which passes end.
        span_cost: weight of `AgentOutput.aux_loss`, the paper's alpha.
        forgetting: learns the spans in the first pass over the rollout; None: they do not learn.
        skips: see `step_optimizers`.
        described: tensors `[T, B]` of the rollout for an error to describe.

    Returns:
        The scalars of the loss and the agent's diagnostics, averaged over the minibatches that were
        not skipped, and the report of `forgetting`.

    Raises:
        NonFiniteLossError: loss or gradient is not finite, and `skips` tolerates no more; the
            weights are those before the minibatch.
    """
    metrics = MeanMetrics()
    fixed = others(agent, optimizer)
    for number in range(passes):
        optimizers = [(optimizer, max_grad_norm)]
        spans = forgetting if number == 0 else None
        if spans is not None:
            optimizers.append((spans.optimizer, spans.config.max_grad_norm))
        kls: list[Tensor] = []
        for index in minibatches(rollout.action.shape[1], parts, rollout.action.device):
            batch = rollout.select(index)
            with frozen(fixed):
                output = agent.unroll(batch.acted_on, batch.memory)
            loss, scalars = loss_of(output, batch, index)
            loss = loss + span_cost * output.aux_loss + output.reconstruction_loss
            if spans is not None:
                loss = loss + spans.loss(batch, output)
            more = {name: x[:, index] for name, x in described.items()}
            describe = tensors_to_describe(batch, output, **more)
            norms = step_optimizers(optimizers, loss, describe, skips)
            if norms is None:
                continue
            kls.append(scalars["approx_kl"])
            metrics.add(scalars | output.diagnostics | span_stats(output.spans, batch))
            if output.reconstruction_loss.requires_grad:
                metrics.add({"reconstruction": output.reconstruction_loss.detach()})
            metrics.add(dict(zip(("grad_norm", "span_grad_norm"), norms, strict=False)))
        if stop_kl is None or not kls:
            continue
        if ranks.mean(float(torch.stack(kls).mean())) > stop_kl:
            break
    agent.update_obs_stats(rollout.acted_on.obs, rollout.valid)
    return metrics.means() | (forgetting.report() if forgetting is not None else {})
