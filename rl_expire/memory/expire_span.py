"""Expire-Span: a learned lifetime for every memory (Sukhbaatar et al. 2021).

A state written at step i has a span e_i (section 3.1, equation 3). At step t its remaining span is
r = e_i - (t - i). The fade turns r into an additive attention bias:

- `linear`: the paper's soft mask m = clamp(1 + r / R, 0, 1) (equation 5) as a bias of log m, which
  equals the paper's renormalised attention m * a / sum(m * a) (equation 4);
- `log-linear`: a bias of c * min(r, 0) / R. Its gradient is constant along the ramp, whereas that
  of the linear mask is concentrated at the end of the ramp.

In both cases a memory is dropped for good once r <= -R.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Fade = Literal["log-linear", "linear"]

LOG_LINEAR_DEPTH = 10.0
"""c: the log-linear fade drops a memory when its weight has fallen to e^-c."""


def fade_bias(remaining: Tensor, ramp: float | Tensor, fade: Fade) -> Tensor:
    """Return the additive attention bias of memories.

    Args:
        remaining: r, remaining span in steps, any shape; -inf for free slots.
        ramp: R > 0, in steps; a number, or a tensor with a value for each memory.
        fade: shape of the fade.

    Returns:
        Bias of the same shape, 0 where r >= 0 and -inf where r <= -R. Its gradients are finite
        everywhere, and zero off the ramp.
    """
    # On some devices the division may round to -1 although r > -R.
    least = -1.0 if fade == "log-linear" else -1 + 2**-24
    faded = (remaining / ramp).clamp(least, 0.0)
    bias = faded * LOG_LINEAR_DEPTH if fade == "log-linear" else torch.log1p(faded)
    return bias.masked_fill(remaining <= -ramp, -math.inf)


def early_fade_bias(
    remaining: Tensor, age: Tensor, ramp: float, fade: Fade, early: float | Tensor
) -> Tensor:
    """Return `fade_bias` with a ramp that starts ahead of time, used while learning to forget.

    The ramp starts when the share `early` of the lifetime is still left and ends where it would
    otherwise end, R steps after the lifetime. The need for a memory is then noticed before it is
    lost, over a stretch in proportion to its lifetime; the ordinary ramp covers only a few steps,
    at which a memory is rarely needed.

    Args:
        remaining: r, remaining span in steps, any shape; -inf for free slots.
        age: t - i, in steps, of a broadcastable shape; the span is e = r + age.
        ramp: R, in steps.
        fade: shape of the fade.
        early: share of the lifetime, in [0, 1), or a tensor with one for each memory.
    """
    if not isinstance(early, Tensor) and early == 0:
        return fade_bias(remaining, ramp, fade)
    ahead = early * (remaining + age).clamp(min=0.0)
    return fade_bias(remaining - ahead, ramp + ahead, fade)


def early_for(pace: Tensor | None, early: float) -> float | Tensor:
    """Return by which share of their lifetimes the memories of each row fade ahead of time.

    Where memories age slowly, and are held beyond their lifetimes, they begin to fade when they do
    in other rows. The need for a longer lifetime is noticed in this way.

    Args:
        pace: `[B]`, see `SlotMemory`; None: all are 1.
        early: share of the lifetime where memories age step by step.

    Returns:
        0 if `early` is; otherwise a number or `[B, 1, 1]`.
    """
    if pace is None or early == 0:
        return early
    return (1 - (1 - early) * pace.clamp(max=1)).view(-1, 1, 1)


def is_held(remaining: Tensor, ramp: float) -> Tensor:
    """Return whether memories with `remaining` steps left can be attended to, now or later."""
    return remaining > -ramp


class SpanHead(nn.Module):
    """Lifetime of a state: e = L * sigmoid(w . (h - center) / scale + b).

    `w` starts at zero, so every span starts at `initial_fraction * L`. `center` and `scale` are
    constants, 0 and 1 until `calibrate` measures them. With centred inputs, a gradient from one
    kind of state changes `w` for that kind and hardly affects the others through `b`.

    Args:
        width: D.
        max_span: L, in steps.
        initial_fraction: initial span as a fraction of L, between 0 and 1.

    Raises:
        ValueError: `initial_fraction` is out of bounds.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, width: int, max_span: float, initial_fraction: float):
        """Create the weights and the buffers of the normalisation."""
        super().__init__()
        if not 0 < initial_fraction < 1:
            raise ValueError(
                f"initial_fraction is {initial_fraction}: choose a number between 0 and 1"
            )
        self.max_span = max_span
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.tensor(math.log(initial_fraction / (1 - initial_fraction))))
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the spans `[...]`, in steps, of states `[..., D]`."""
        return self.max_span * torch.sigmoid(self.logit(hidden))

    def logit(self, hidden: Tensor) -> Tensor:
        """Return the logits `[...]` of the spans, log(e / (L - e))."""
        weight = self.weight / self.scale  # as large as the states divided by it, at less cost
        return hidden @ weight + (self.bias - self.center @ weight)

    @torch.no_grad()
    def calibrate(self, hidden: Tensor) -> None:
        """Set `center` and `scale` to the statistics of states `[..., D]`.

        This does not change any span as long as `w` is zero.
        """
        flat = hidden.reshape(-1, hidden.shape[-1])
        self.center.copy_(flat.mean(0))
        self.scale.copy_((flat - self.center).pow(2).mean().sqrt().clamp(min=1e-6))


def mean_span(spans: Tensor) -> Tensor:
    """Return the paper's cost (equation 7) as a mean: the mean span, in steps."""
    return spans.mean()


def span_penalty(logits: Tensor, max_span: float, ramp: float) -> Tensor:
    """Return the penalty minimised while learning to forget: the mean of log(1 + o / R), in nats.

    o = e / (1 - e / L), in steps, is close to the span e while that is short, and diverges as e
    approaches L. For e well above R the penalty is logarithmic, so halving a span saves the same
    whether it was 300 steps or 30. Its gradient with respect to the logit is nearly constant,
    whereas that of any function of e alone would vanish with the slope of the sigmoid.

    Args:
        logits: logits of the spans, any shape.
        max_span: L, in steps.
        ramp: R, in steps.
    """
    return nn.functional.softplus(logits + math.log(max_span / ramp)).mean()


def ramp_span(spans: Tensor, remaining: Tensor, ramp: float) -> Tensor:
    """Return the paper's cost in the variant that counts only memories on the ramp.

    A memory spends R steps on the ramp; dividing by R makes the expected cost the mean span.

    Args:
        spans: `[B, K]`, in steps.
        remaining: `[B, T, K]`, in steps.
        ramp: R, in steps.

    Returns:
        `[]`, the sum of the spans on the ramp, divided by R, as a mean over queries.
    """
    on_ramp = (remaining < 0) & (remaining > -ramp)
    return (on_ramp * spans.unsqueeze(1)).sum(-1).mean() / ramp
