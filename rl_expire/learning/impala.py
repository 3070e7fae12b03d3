"""IMPALA's loss: a policy gradient that V-trace corrects for acting with older weights."""

from __future__ import annotations

import torch
from torch import Tensor

from rl_expire.learning.optim import masked_mean
from rl_expire.learning.ppo import PPOConfig, entropy, log_prob, scale_advantages
from rl_expire.learning.returns import vtrace
from rl_expire.types import AgentOutput, M, Rollout


def impala_loss(
    output: AgentOutput, rollout: Rollout[M], config: PPOConfig, *, entropy_cost: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the policy, value and entropy losses (Espeholt et al. 2018, section 4.2).

    The value of what follows the rollout is the acting policy's. As in PPO, value errors are in
    units of the value scale, and advantages are scaled.

    Args:
        output: the agent's output on the rollout.
        rollout: T steps of B environments.
        config: options; those about clipping and passes are not used.
        entropy_cost: weight of the entropy bonus.

    Returns:
        The loss `[]`, and scalars to log, as `ppo_loss` does.
    """
    valid = rollout.valid
    choice = valid & rollout.choice
    target = log_prob(output.logits, rollout.action)
    acted = log_prob(rollout.logits, rollout.action)
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
        lam=1 - 1 / len(valid) if config.gae_lambda is None else config.gae_lambda,
    )
    scaled = scale_advantages(advantages, valid, output.value_scale)
    policy_loss = -masked_mean(scaled * target * choice, valid)
    error = ((output.value - returns) / output.value_scale).pow(2)
    value_loss = 0.5 * masked_mean(error, valid)
    entropies = entropy(output.logits)
    mean_entropy = masked_mean(entropies * choice, valid)
    loss = policy_loss + config.value_cost * value_loss - entropy_cost * mean_entropy
    log_ratio = (target - acted).detach()
    metrics = {
        "policy_loss": policy_loss.detach(),
        "value_loss": value_loss.detach(),
        "entropy": masked_mean(entropies, choice).detach(),
        "approx_kl": masked_mean(torch.expm1(log_ratio) - log_ratio, choice).detach(),
    }
    return loss, metrics
