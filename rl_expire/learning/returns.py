"""Advantages and returns, as pure functions over a rollout's tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def next_values(
    value: Tensor,
    bootstrap_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_value: Tensor,
) -> Tensor:
    """Return `[T, B]`, the value of what follows each step.

    Nothing follows a terminal state; a truncated episode goes on from its true last observation;
    any other step is followed by the next one.
    """
    following = torch.cat([value[1:], bootstrap_value.unsqueeze(0)])
    following = torch.where(truncated, final_value, following)
    return following.masked_fill(terminated, 0.0)


def gae(
    reward: Tensor,
    value: Tensor,
    bootstrap_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_value: Tensor,
    valid: Tensor,
    *,
    gamma: float,
    lam: float,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16).

    Args:
        reward: `[T, B]`.
        value: `[T, B]`, V of each step.
        bootstrap_value: `[B]`, V of the step after the last.
        terminated: `[T, B]` bool.
        truncated: `[T, B]` bool.
        final_value: `[T, B]`, V of the true last observation where truncated.
        valid: `[T, B]` bool; a step that is not valid has advantage 0 and passes none on.
        gamma: discount a step.
        lam: the lambda of GAE.

    Returns:
        `advantages [T, B]` and `returns [T, B]` = advantages + value.
    """
    following = next_values(value, bootstrap_value, terminated, truncated, final_value)
    delta = (reward + gamma * following - value) * valid
    carry = gamma * lam * (valid & ~(terminated | truncated))
    advantages = torch.zeros_like(delta)
    running = torch.zeros_like(bootstrap_value)
    for t in reversed(range(delta.shape[0])):
        running = delta[t] + carry[t] * running
        advantages[t] = running
    return advantages, advantages + value


def vtrace(
    target_log_prob: Tensor,
    behaviour_log_prob: Tensor,
    reward: Tensor,
    value: Tensor,
    bootstrap_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_value: Tensor,
    valid: Tensor,
    *,
    gamma: float,
    lam: float = 1.0,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """V-trace (Espeholt et al. 2018, equations 1 and 2), on the same tensors as `gae`.

    Args:
        target_log_prob: `[T, B]`, log-probability of the action under the policy being learned.
        behaviour_log_prob: `[T, B]`, under the policy that acted.
        reward: as in `gae`.
        value: as in `gae`, of the policy being learned.
        bootstrap_value: as in `gae`.
        terminated: as in `gae`.
        truncated: as in `gae`.
        final_value: as in `gae`.
        valid: as in `gae`.
        gamma: discount a step.
        lam: a further factor on the trace weights c.
        rho_clip: the paper's rho-bar.
        c_clip: the paper's c-bar.

    Returns:
        `advantages [T, B]`, the weighted policy-gradient advantages, and the value targets
        `returns [T, B]`, v_s.
    """
    ratio = (target_log_prob - behaviour_log_prob).exp()
    rho, c = ratio.clamp(max=rho_clip), lam * ratio.clamp(max=c_clip)
    following = next_values(value, bootstrap_value, terminated, truncated, final_value)
    delta = rho * (reward + gamma * following - value) * valid
    carry = gamma * c * (valid & ~(terminated | truncated))
    corrections = torch.zeros_like(delta)
    running = torch.zeros_like(bootstrap_value)
    for t in reversed(range(delta.shape[0])):
        running = delta[t] + carry[t] * running
        corrections[t] = running
    returns = value + corrections
    next_returns = torch.cat([returns[1:], bootstrap_value.unsqueeze(0)])
    next_returns = torch.where(truncated, final_value, next_returns).masked_fill(terminated, 0.0)
    advantages = rho * (reward + gamma * next_returns - value) * valid
    return advantages, returns
