"""What all learners share: minibatches, guarded optimizer steps, and averages to log."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rl_expire.learning import ranks
from rl_expire.learning.nonfinite import NonFiniteLossError, SkipCounter, describe
from rl_expire.memory.horizon import log_lifetimes
from rl_expire.types import AgentOutput, M, Rollout


def minibatches(rows: int, parts: int, device: torch.device) -> Iterator[Tensor]:
    """Yield `parts` random, disjoint sets of environment indices that cover all `rows`."""
    yield from torch.randperm(rows, device=device).chunk(parts)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean `[]` of `values` where `mask`, both of one shape; 0 if that is nowhere."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of all parameters of `optimizer`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return the parameters that `optimizer` changes."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def step_optimizers(
    optimizers: Sequence[tuple[torch.optim.Optimizer, float]],
    loss: Tensor,
    batch: Mapping[str, Tensor] | None = None,
    skips: SkipCounter | None = None,
) -> list[Tensor] | None:
    """Take one step of each optimizer on `loss`, unless loss or a gradient is not finite.

    With many ranks the gradients are averaged, so that all of them take the same step, or none.

    Args:
        optimizers: each with the norm that the gradients of its parameters are clipped to.
        loss: `[]`.
        batch: tensors for an error to describe.
        skips: counts skipped steps; None: the first one raises.

    Returns:
        The gradient norm `[]` of each optimizer's parameters before clipping; None if the step was
        skipped, which leaves parameters and optimizers as they were.

    Raises:
        NonFiniteLossError: the step was skipped, and `skips` tolerates no more.
    """
    for optimizer, _ in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    mean_loss = ranks.average_gradients([p for o, _ in optimizers for p in parameters_of(o)], loss)
    norms = [nn.utils.clip_grad_norm_(parameters_of(o), norm) for o, norm in optimizers]
    if not torch.isfinite(torch.stack(norms).sum() + mean_loss):
        (skips or SkipCounter(limit=0)).step_skipped(_nonfinite(loss.item(), norms, batch or {}))
        return None
    for optimizer, _ in optimizers:
        optimizer.step()
    if skips is not None:
        skips.step_taken()
    return norms


def _nonfinite(
    loss: float, norms: Sequence[Tensor], batch: Mapping[str, Tensor]
) -> NonFiniteLossError:
    """Return the error that describes the minibatch, of all ranks the one with the most faults."""
    loss, description = max(
        ranks.gather((loss, describe(batch))),
        key=lambda one: (not math.isfinite(one[0]), sum(d["nonfinite"] for d in one[1].values())),
    )
    listed = ", ".join(f"{norm.item()}" for norm in norms)
    return NonFiniteLossError(f"loss {loss}, gradient norm {listed}", description)


def others(agent: nn.Module, optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return the parameters of `agent` that `optimizer` does not change."""
    changed = {id(p) for p in parameters_of(optimizer)}
    return [p for p in agent.parameters() if id(p) not in changed]


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let what is computed meanwhile carry no gradient to `parameters`."""
    learning = [p for p in parameters if p.requires_grad]
    for p in learning:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in learning:
            p.requires_grad_(True)


def tensors_to_describe(
    rollout: Rollout[M], output: AgentOutput, **more: Tensor
) -> dict[str, Tensor]:
    """Return the tensors of a minibatch that help to explain a loss that is not finite."""
    return {
        "reward": rollout.reward,
        "value": output.value,
        "logits": output.logits,
        "spans": output.spans,
        **more,
        "terminated": rollout.terminated,
        "truncated": rollout.truncated,
    }


def span_stats(spans: Tensor, rollout: Rollout[M]) -> dict[str, Tensor]:
    """Return the typical span, in steps, of relevant and of other observations.

    Spans differ by orders of magnitude, so this is their geometric mean.

    Args:
        spans: `[N, T, B]`, spans in each of N layers.
        rollout: says which observations are relevant.

    Returns:
        `span_relevant` and `span_other`, NaN where the rollout has no such observation; empty for
        an agent without spans, N = 0.
    """
    if len(spans) == 0:
        return {}
    lengths = log_lifetimes(spans.detach()).mean(0)
    return {
        "span_relevant": lengths[rollout.relevant].mean().exp(),
        "span_other": lengths[~rollout.relevant].mean().exp(),
    }


class MeanMetrics:
    """Means of scalars over minibatches, without waiting for the device in between."""

    def __init__(self) -> None:
        """Start without values."""
        self._values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Add the scalars `[]` of one minibatch."""
        for name, value in metrics.items():
            self._values[name].append(value)

    def means(self) -> dict[str, float]:
        """Return the mean of each scalar, ignoring NaN."""
        return {name: float(torch.stack(values).nanmean()) for name, values in self._values.items()}
