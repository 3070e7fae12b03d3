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
    """Return the value of the state that follows each step.

    It is 0 after termination, the value of the episode's last observation after truncation, and the
    value of the next step otherwise.

    Args:
        value: `[T, B]`, value of each step.
        bootstrap_value: `[B]`, value of the step after the last.
        terminated: `[T, B]` bool.
        truncated: `[T, B]` bool.
        final_value: `[T, B]`, value of the last observation where truncated.

    Returns:
        `[T, B]`.
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
    """Compute generalised advantage estimates (Schulman et al. 2016, equation 16).

    Args:
        reward: `[T, B]`.
        value: `[T, B]`, value of each step.
        bootstrap_value: `[B]`, value of the step after the last.
        terminated: `[T, B]` bool.
        truncated: `[T, B]` bool.
        final_value: `[T, B]`, value of the episode's last observation where truncated.
        valid: `[T, B]` bool; an invalid step has advantage 0, and cuts the sum at its predecessor.
        gamma: discount factor per step.
        lam: GAE's lambda.

    Returns:
        `advantages [T, B]`, and `returns [T, B]`, which are advantages + value.
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
    """Compute V-trace targets (Espeholt et al. 2018, equations 1 and 2) from the tensors of `gae`.

    Args:
        target_log_prob: `[T, B]`, log-probability of the action under the policy being learned.
        behaviour_log_prob: `[T, B]`, the same under the policy that acted.
        reward: as in `gae`.
        value: as in `gae`, for the policy being learned.
        bootstrap_value: as in `gae`.
        terminated: as in `gae`.
        truncated: as in `gae`.
        final_value: as in `gae`.
        valid: as in `gae`.
        gamma: discount factor per step.
        lam: additional factor on the trace coefficients c.
        rho_clip: the paper's rho-bar.
        c_clip: the paper's c-bar.

    Returns:
        `advantages [T, B]` of the policy gradient, weighted by rho, and `returns [T, B]`, the value
        targets v_s.
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
