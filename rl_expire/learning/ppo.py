"""Proximal policy optimisation (Schulman et al. 2017) for agents with memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rl_expire.actions import ActionDistribution
from rl_expire.learning import ranks
from rl_expire.learning.forgetting import Forgetting
from rl_expire.learning.nonfinite import SkipCounter
from rl_expire.learning.optim import masked_mean
from rl_expire.learning.returns import gae
from rl_expire.learning.update import Loss, update
from rl_expire.types import Agent, AgentOutput, M, Rollout
from rl_expire.validate import check_range

MIN_ADVANTAGE = 0.2
"""Smallest root mean square of advantages, in units of the value scale, that is scaled up to 1:
before the first reward, advantages are noise that would drive the policy at random."""


@dataclass(frozen=True)
class PPOConfig:
    """Options of PPO."""

    learning_rate: float = 6e-4
    """Initial learning rate of Adam."""
    epochs: int = 3
    """Passes over each rollout. Where the schedule lowers the learning rate to less than 0.4 of the
    initial one, there are fewer passes in place of smaller steps, down to a single one."""
    minibatches: int = 4
    """Minibatches per pass, each with whole sequences of num_envs / minibatches environments."""
    gamma: float = 0.995
    """Discount factor per step."""
    gae_lambda: float | None = 0.95
    """Lambda of generalised advantage estimation; None: 1 - 1 / T, so that credit reaches as far as
    a rollout of T steps."""
    clip: float = 0.2
    """Clip range of the policy's probability ratio."""
    value_clip: float | None = None
    """Clip range of the change in value per update; None: no clipping."""
    value_cost: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Norm that gradients are clipped to."""
    stop_kl: float | None = 0.02
    """KL divergence (nats) from the acting policy, averaged over a pass, at which the passes over a
    rollout end; None: never."""

    choices_only: bool = True
    """Whether the policy learns only at steps that offer a choice, where info says so; if False,
    what info says of choices is ignored."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "epochs", "minibatches", least=1)
        check_range(self, "learning_rate", "clip", "value_clip", "max_grad_norm", above=0)
        check_range(self, "stop_kl", above=0)
        check_range(self, "value_cost", least=0)
        check_range(self, "gamma", above=0, most=1)
        check_range(self, "gae_lambda", least=0, most=1)

    def lam(self, length: int) -> float:
        """Return lambda for a rollout of `length` steps."""
        return 1 - 1 / length if self.gae_lambda is None else self.gae_lambda


def scale_advantages(advantages: Tensor, valid: Tensor, value_scale: Tensor) -> Tensor:
    """Scale the advantages of a rollout to a root mean square of 1, at most, where `valid`.

    Unlike usual (Huang et al. 2022, detail 7) they are not centred. What follows a good action
    raises the mean as well; where that is a whole episode, and the action is far from its reward,
    subtracting the mean would turn the sign of its advantage.

    Args:
        advantages: `[T, B]`, of a whole rollout, so that none depends on its minibatch.
        valid: `[T, B]` bool, the steps that count.
        value_scale: `[]`, the scale of the values.

    Returns:
        `[T, B]`.
    """
    advantages = advantages / value_scale
    rms = masked_mean(ranks.concat(advantages, 1).pow(2), ranks.concat(valid, 1)).sqrt()
    return advantages / rms.clamp(min=MIN_ADVANTAGE)


def ppo_loss(
    output: AgentOutput,
    rollout: Rollout[M],
    advantages: Tensor,
    returns: Tensor,
    actions: ActionDistribution,
    config: PPOConfig,
    *,
    entropy_cost: float,
) -> Loss:
    """Compute the clipped surrogate, value and entropy losses (Schulman et al. 2017, equation 9).

    Args:
        output: the agent's output on the rollout.
        rollout: T steps of B environments.
        advantages: `[T, B]`, as `scale_advantages` returns them.
        returns: `[T, B]`.
        actions: the agent's.
        config: options; its `value_clip` is in units of `output.value_scale`.
        entropy_cost: weight of the entropy bonus.

    Returns:
        The loss `[]`, and scalars to log; `approx_kl` estimates the KL divergence from the policy
        that acted.
    """
    valid = rollout.valid
    choice = valid & rollout.choice
    scale = output.value_scale
    acted = actions.log_prob(rollout.logits, rollout.action)
    log_ratio = actions.log_prob(output.logits, rollout.action) - acted
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    gain = torch.min(ratio * advantages, clipped * advantages)
    policy_loss = -masked_mean(gain * choice, valid)
    error = ((output.value - returns) / scale).pow(2)
    if config.value_clip is not None:
        limit = config.value_clip * scale
        change = (output.value - rollout.value).clamp(-limit, limit)
        error = torch.max(error, ((rollout.value + change - returns) / scale).pow(2))
    return with_value_and_entropy(
        policy_loss, error, log_ratio, output, rollout, actions, config, entropy_cost=entropy_cost
    )


def with_value_and_entropy(
    policy_loss: Tensor,
    error: Tensor,
    log_ratio: Tensor,
    output: AgentOutput,
    rollout: Rollout[M],
    actions: ActionDistribution,
    config: PPOConfig,
    *,
    entropy_cost: float,
) -> Loss:
    """Add the value and entropy losses to that of the policy.

    Args:
        policy_loss: `[]`.
        error: `[T, B]`, squared errors of the values, in units of their scale.
        log_ratio: `[T, B]`, log-probability of the actions, minus that of the policy that acted.
        output: the agent's output on the rollout.
        rollout: T steps of B environments.
        actions: the agent's.
        config: options.
        entropy_cost: weight of the entropy bonus.

    Returns:
        The loss `[]`, and scalars to log.
    """
    valid = rollout.valid
    choice = valid & rollout.choice
    value_loss = 0.5 * masked_mean(error, valid)
    entropies = actions.entropy(output.logits)
    mean_entropy = masked_mean(entropies * choice, valid)
    loss = policy_loss + config.value_cost * value_loss - entropy_cost * mean_entropy
    log_ratio = log_ratio.detach()
    metrics = {
        "policy_loss": policy_loss.detach(),
        "value_loss": value_loss.detach(),
        "entropy": masked_mean(entropies, choice).detach(),
        "approx_kl": masked_mean(log_ratio.exp() - 1 - log_ratio, choice),
    }
    return loss, metrics


def ppo_update(
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
    """Update the agent on one rollout.

    Args:
        agent: the agent that collected the rollout.
        optimizer: optimizer of the parameters that learn; others get no gradient.
        rollout: T steps of B environments.
        config: options.
        entropy_cost: weight of the entropy bonus.
        span_cost: see `update`.
        forgetting: see `update`.
        skips: see `update`.

    Returns:
        The scalars of `ppo_loss`, and those that `update` adds.

    Raises:
        NonFiniteLossError: see `update`.
    """
    rollout, finite = rescaled(agent, rollout)
    advantages, returns = estimate_advantages(agent, rollout, config, finite=finite)

    def loss(output: AgentOutput, batch: Rollout[M], rows: Tensor) -> Loss:
        """Return the loss of a minibatch and scalars to log."""
        estimates = advantages[:, rows], returns[:, rows]
        return ppo_loss(output, batch, *estimates, agent.actions, config, entropy_cost=entropy_cost)

    return update(
        agent,
        optimizer,
        rollout,
        loss,
        passes=config.epochs,
        parts=config.minibatches,
        max_grad_norm=config.max_grad_norm,
        stop_kl=config.stop_kl,
        span_cost=span_cost,
        forgetting=forgetting,
        skips=skips,
        advantage=advantages,
    )


def rescaled(agent: Agent[M], rollout: Rollout[M]) -> tuple[Rollout[M], bool]:
    """Update the agent's reward scale; return the rollout with its values in the new scale.

    Returns:
        The rollout, and whether all of its rewards and values are finite, on every rank. If not,
        the scale stays as it is.
    """
    known = rollout.reward, rollout.value, rollout.bootstrap_value, rollout.final_value
    rewards = ranks.concat(rollout.reward[rollout.valid])
    finite = len(rewards) > 0 and all(ranks.gather(all(bool(x.isfinite().all()) for x in known)))
    if finite:
        rollout = rollout.with_values_times(agent.update_reward_stats(rewards))
    return rollout, finite


def estimate_advantages(
    agent: Agent[M], rollout: Rollout[M], config: PPOConfig, *, finite: bool
) -> tuple[Tensor, Tensor]:
    """Return scaled advantages and returns, both `[T, B]`; update the agent's value scale.

    Args:
        agent: the agent that collected the rollout.
        rollout: as `rescaled` returns it.
        config: options.
        finite: whether to update the scale.
    """
    valid = rollout.valid
    advantages, returns = gae(
        rollout.reward,
        rollout.value,
        rollout.bootstrap_value,
        rollout.terminated,
        rollout.truncated,
        rollout.final_value,
        valid,
        gamma=config.gamma,
        lam=config.lam(len(valid)),
    )
    one = advantages.new_ones(())
    scale = agent.update_value_stats(ranks.concat(returns[valid])) if finite else one
    return scale_advantages(advantages, valid, scale.to(advantages)), returns
