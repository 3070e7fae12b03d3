"""Proximal policy optimisation (Schulman et al. 2017) over rollouts with memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rl_expire.learning.nonfinite import NonFiniteLossError, Skips, describe
from rl_expire.learning.returns import gae
from rl_expire.types import Agent, AgentOutput, M, Rollout


@dataclass(frozen=True)
class PPOConfig:
    """The learner."""

    learning_rate: float = 6e-4
    """Adam's rate at the start."""
    epochs: int = 3
    """Passes over each rollout."""
    minibatches: int = 4
    """Parts of a pass; each holds whole sequences of num_envs / minibatches environments."""
    gamma: float = 0.995
    """Discount a step."""
    gae_lambda: float = 0.95
    """Lambda of the advantage estimate."""
    clip: float = 0.2
    """How far the policy's probability ratio may move in one update."""
    value_clip: float | None = None
    """How far the value may move in one update; none: not clipped."""
    value_cost: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Gradients are scaled down to this norm."""
    stop_kl: float | None = 0.02
    """End the passes over a rollout when the policy has moved this far (nats); none: never."""
    normalize_advantages: bool = True
    """Scale the advantages of each minibatch to mean 0 and standard deviation 1."""
    normalize_values: bool = False
    """Learn values in units that follow the returns (PopArt): for rewards of any size. Returns that
    vary by less than 1 are not blown up."""
    advantage_floor: float = 0.2
    """The least standard deviation to divide by: while no reward is seen at all, the noise of the
    values would be blown up to full size and drive the policy anywhere."""

    def __post_init__(self) -> None:
        for name in ("epochs", "minibatches"):
            if getattr(self, name) < 1:
                raise ValueError(f"--ppo.{name} is {getattr(self, name)}: choose 1 or more")
        for name in (
            *("learning_rate", "clip", "value_clip", "max_grad_norm", "stop_kl"),
            "advantage_floor",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                option = "--ppo." + name.replace("_", "-")
                raise ValueError(f"{option} is {value}: choose a number above 0")
        if not self.value_cost >= 0:
            raise ValueError(f"--ppo.value-cost is {self.value_cost}: choose 0 or more")
        if not 0 < self.gamma <= 1:
            raise ValueError(f"--ppo.gamma is {self.gamma}: choose one above 0 and at most 1")
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"--ppo.gae-lambda is {self.gae_lambda}: choose one from 0 to 1")


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of `values` where `valid`, both of one shape."""
    return (values * valid).sum() / valid.sum().clamp(min=1)


def log_prob(logits: Tensor, action: Tensor) -> Tensor:
    """Log-probability `[...]` of `action [...]` under `logits [..., A]`."""
    return torch.log_softmax(logits, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy `[...]`, in nats, of `logits [..., A]`."""
    log_p = torch.log_softmax(logits, -1)
    return -(log_p.exp() * log_p).sum(-1)


def ppo_loss(
    evaluation: AgentOutput,
    rollout: Rollout[M],
    advantages: Tensor,
    returns: Tensor,
    config: PPOConfig,
    *,
    entropy_cost: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Clipped surrogate, value and entropy losses (Schulman et al. 2017, equation 9).

    Args:
        evaluation: the agent's replay of the rollout.
        rollout: T steps of B environments.
        advantages: `[T, B]`.
        returns: `[T, B]`.
        config: the learner's options; values and advantages are in units of
            `evaluation.value_scale` to it.
        entropy_cost: weight of the entropy bonus.

    Returns:
        The loss `[]` and scalars to log; `approx_kl` is the distance from the acting policy.
    """
    valid = rollout.valid
    choice = valid & rollout.choice
    scale = evaluation.value_scale
    advantages = advantages / scale
    if config.normalize_advantages:
        mean = masked_mean(advantages, valid)
        variance = masked_mean((advantages - mean).pow(2), valid)
        advantages = (advantages - mean) / variance.sqrt().clamp(min=config.advantage_floor)
    log_ratio = log_prob(evaluation.logits, rollout.action) - log_prob(
        rollout.logits, rollout.action
    )
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    gain = torch.min(ratio * advantages, clipped * advantages)
    policy_loss = -masked_mean(gain * choice, valid)
    error = ((evaluation.value - returns) / scale).pow(2)
    if config.value_clip is not None:
        most = config.value_clip * scale
        moved = (evaluation.value - rollout.value).clamp(-most, most)
        error = torch.max(error, ((rollout.value + moved - returns) / scale).pow(2))
    value_loss = 0.5 * masked_mean(error, valid)
    entropies = entropy(evaluation.logits)
    mean_entropy = masked_mean(entropies * choice, valid)
    loss = policy_loss + config.value_cost * value_loss - entropy_cost * mean_entropy
    stats = {
        "policy_loss": policy_loss.detach(),
        "value_loss": value_loss.detach(),
        "entropy": masked_mean(entropies, choice).detach(),
        "approx_kl": masked_mean(ratio - 1 - log_ratio, choice).detach(),
    }
    return loss, stats


def minibatches(rows: int, parts: int, device: torch.device) -> Iterator[Tensor]:
    """Yield `parts` random, disjoint sets of environment indices."""
    yield from torch.randperm(rows, device=device).chunk(parts)


def step_optimizer(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    parameters: Iterable[nn.Parameter],
    norm: float,
    batch: Mapping[str, Tensor] | None = None,
    skips: Skips | None = None,
) -> Tensor | None:
    """Take one step down `loss`, its gradient clipped to `norm`.

    Args:
        optimizer: of `parameters`.
        loss: `[]`.
        parameters: whose gradients are clipped.
        norm: the longest gradient.
        batch: what an error is to describe.
        skips: counts steps that are left out; None: the first one is an error.

    Returns:
        The gradient's norm before it was clipped; None if the step was left out because loss or
        gradient is not finite: parameters and optimizer are then as they were.

    Raises:
        NonFiniteLossError: it was left out, and that is one too many.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    total = nn.utils.clip_grad_norm_(parameters, norm)
    if not torch.isfinite(total + loss.detach()):
        message = f"loss {loss.item()}, gradient norm {total.item()}"
        (skips or Skips(most=0)).left_out(NonFiniteLossError(message, describe(batch or {})))
        return None
    optimizer.step()
    if skips is not None:
        skips.taken()
    return total


def batch_to_describe(
    rollout: Rollout[M], evaluation: AgentOutput, **more: Tensor
) -> dict[str, Tensor]:
    """Return the tensors of a minibatch that explain a loss that is not finite."""
    return {
        "reward": rollout.reward,
        "value": evaluation.value,
        "logits": evaluation.logits,
        "spans": evaluation.spans,
        **more,
        "terminated": rollout.terminated,
        "truncated": rollout.truncated,
    }


def span_stats(spans: Tensor, rollout: Rollout[M]) -> dict[str, Tensor]:
    """Mean lifetime, in steps, of relevant and of other observations, `spans [N, T, B]`.

    NaN where the rollout has none of a kind, so that averages can leave it out.
    """
    if len(spans) == 0:
        return {}
    mean = spans.detach().mean(0)
    return {
        "span_relevant": mean[rollout.relevant].mean(),
        "span_other": mean[~rollout.relevant].mean(),
    }


def average(seen: dict[str, list[Tensor]]) -> dict[str, float]:
    """Mean of each list of scalars, NaNs left out."""
    return {name: float(torch.stack(values).nanmean()) for name, values in seen.items()}


def ppo_update(
    agent: Agent[M],
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    rollout: Rollout[M],
    config: PPOConfig,
    *,
    entropy_cost: float,
    span_cost: float = 0.0,
    skips: Skips | None = None,
) -> dict[str, float]:
    """Improve the agent on one rollout.

    Args:
        agent: the policy that made the rollout.
        parameters: what `optimizer` holds.
        optimizer: of `parameters`.
        rollout: T steps of B environments.
        config: the learner's options.
        entropy_cost: weight of the entropy bonus.
        span_cost: alpha, weight of the agent's own cost of memory (`AgentOutput.aux_loss`).
        skips: as `step_optimizer` takes it.

    Returns:
        Means over the minibatches, those left out aside, of what `ppo_loss` logs.

    Raises:
        NonFiniteLossError: with the loss, and the ranges of the minibatch; the weights are those
            before it. With `skips`, only after too many of them in a row.
    """
    advantages, returns = gae(
        rollout.reward,
        rollout.value,
        rollout.bootstrap_value,
        rollout.terminated,
        rollout.truncated,
        rollout.final_value,
        rollout.valid,
        gamma=config.gamma,
        lam=config.gae_lambda,
    )
    if config.normalize_values and rollout.valid.any():
        agent.update_value_stats(returns[rollout.valid])
    seen: dict[str, list[Tensor]] = defaultdict(list)
    rows = rollout.action.shape[1]
    for _ in range(config.epochs):
        for index in minibatches(rows, config.minibatches, rollout.action.device):
            part = rollout.select(index)
            evaluation = agent.unroll(part.acted_on, part.memory)
            loss, stats = ppo_loss(
                evaluation,
                part,
                advantages[:, index],
                returns[:, index],
                config,
                entropy_cost=entropy_cost,
            )
            norm = step_optimizer(
                optimizer,
                loss + span_cost * evaluation.aux_loss + evaluation.reconstruction_loss,
                parameters,
                config.max_grad_norm,
                batch_to_describe(part, evaluation, advantage=advantages[:, index]),
                skips,
            )
            if norm is None:
                continue
            stats |= evaluation.diagnostics | span_stats(evaluation.spans, part)
            if evaluation.reconstruction_loss.requires_grad:
                stats["reconstruction"] = evaluation.reconstruction_loss.detach()
            for name, value in (stats | {"grad_norm": norm}).items():
                seen[name].append(value)
        moved = seen["approx_kl"][-1:]
        if config.stop_kl is not None and moved and float(moved[0]) > config.stop_kl:
            break
    return average(seen)
