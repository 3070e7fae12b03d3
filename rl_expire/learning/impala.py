"""IMPALA: a policy gradient that V-trace corrects for acting with older weights."""

from __future__ import annotations

import torch
from torch import Tensor

from rl_expire.actions import ActionDistribution
from rl_expire.learning.forgetting import Forgetting
from rl_expire.learning.nonfinite import SkipCounter
from rl_expire.learning.optim import masked_mean
from rl_expire.learning.ppo import (
    PPOConfig,
    estimate_advantages,
    rescaled,
    scale_advantages,
    with_value_and_entropy,
)
from rl_expire.learning.returns import vtrace
from rl_expire.learning.update import Loss, update
from rl_expire.types import Agent, AgentOutput, M, Rollout


def impala_loss(
    output: AgentOutput,
    rollout: Rollout[M],
    actions: ActionDistribution,
    config: PPOConfig,
    *,
    entropy_cost: float,
) -> Loss:
    """Compute the policy, value and entropy losses (Espeholt et al. 2018, section 4.2).

    The value of what follows the rollout is the acting policy's. As in PPO, value errors are in
    units of the value scale, and advantages are scaled, here by those of the minibatch.

    Args:
        output: the agent's output on the rollout.
        rollout: T steps of B environments.
        actions: the agent's.
        config: options; those about clipping and passes are not used.
        entropy_cost: weight of the entropy bonus.

    Returns:
        The loss `[]`, and scalars to log, as `ppo_loss` does.
    """
    valid = rollout.valid
    choice = valid & rollout.choice
    target = actions.log_prob(output.logits, rollout.action)
    acted = actions.log_prob(rollout.logits, rollout.action)
    advantages, returns = vtrace(
        target.detach(),
        acted,
        rollout.reward,
        output.value.detach(),
        rollout.bootstrap_value,
        rollout.terminated,
        rollout.truncated,
        rollout.final_value,
        valid,
        gamma=config.gamma,
        lam=config.lam(len(valid)),
    )
    scaled = scale_advantages(advantages, valid, output.value_scale)
    policy_loss = -masked_mean(scaled * target * choice, valid)
    error = ((output.value - returns) / output.value_scale).pow(2)
    ratio = target - acted
    return with_value_and_entropy(
        policy_loss, error, ratio, output, rollout, actions, config, entropy_cost=entropy_cost
    )


def impala_update(
    agent: Agent[M],
    optimizer: torch.optim.Optimizer,
    rollout: Rollout[M],
    config: PPOConfig,
    *,
    entropy_cost: float,
    span_cost: float = 0.0,
    forgetting: Forgetting[M] | None = None,
    skips: SkipCounter | None = None,
) -> dict[str, float]:
    """Update the agent in one pass over a rollout; arguments and result are those of `ppo_update`.

    Raises:
        NonFiniteLossError: see `update`.
    """
    rollout, finite = rescaled(agent, rollout)
    estimate_advantages(agent, rollout, config, finite=finite)  # for the scale of the values

    def loss(output: AgentOutput, batch: Rollout[M], rows: Tensor) -> Loss:
        """Return the loss of a minibatch and scalars to log."""
        return impala_loss(output, batch, agent.actions, config, entropy_cost=entropy_cost)

    return update(
        agent,
        optimizer,
        rollout,
        loss,
        passes=1,
        parts=config.minibatches,
        max_grad_norm=config.max_grad_norm,
        span_cost=span_cost,
        forgetting=forgetting,
        skips=skips,
    )
