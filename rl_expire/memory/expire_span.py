"""Expire-Span: a learned lifetime for every memory (Sukhbaatar et al. 2021).

A state written at step i gets a span e_i (section 3.1, equation 3). At step t its remaining span is
r = e_i - (t - i), and the fade turns r into an additive attention bias:

- `linear`, the paper's soft mask (equation 5): m = clamp(1 + r / R, 0, 1) and bias log m, which is
  exactly the paper's renormalised m * a / sum(m * a) (equation 4);
- `log-linear`, ours: bias c * min(r, 0) / R. Its gradient is the same all along the ramp, where the
  linear mask's is felt only in a cliff at its end.

Both drop a memory for good once r <= -R.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Fade = Literal["log-linear", "linear"]

LOG_LINEAR_DEPTH = 10.0
"""The log-linear bias at the end of the ramp, -c: a memory is dropped at e^-10 of its weight."""


def fade_bias(remaining: Tensor, ramp: float | Tensor, fade: Fade) -> Tensor:
    """Return the additive attention bias of memories with `remaining` steps left.

    Args:
        remaining: r, any shape, in steps; -inf for a slot that is free.
        ramp: R > 0, in steps; may be one for each memory.
        fade: the shape of the fade.

    Returns:
        Bias of the same shape, 0 where r >= 0, -inf where r <= -R. Gradients are finite everywhere:
        they are zero off the ramp.
    """
    alive = remaining > -ramp
    inside = torch.where(alive, remaining, torch.zeros_like(remaining)).clamp(max=0.0)
    if fade == "log-linear":
        bias = inside * (LOG_LINEAR_DEPTH / ramp)
    else:
        # Division may round to -1 on some devices, although r > -R.
        bias = torch.log1p((inside / ramp).clamp(min=-1 + 2**-24))
    return bias.masked_fill(~alive, -math.inf)


def early_fade_bias(
    remaining: Tensor, age: Tensor, ramp: float, fade: Fade, early: float
) -> Tensor:
    """Return `fade_bias` where fading begins ahead of time, as it does for those who learn it.

    The ramp begins when the share `early` of the lifetime is still left, and ends where it would
    have, R steps after it. So a memory that is needed says so before it is lost, and over a stretch
    as long as its lifetime is uncertain, where the ramp alone is a few steps that hardly any
    episode hits upon.

    Args:
        remaining: r, any shape, in steps; -inf for a slot that is free.
        age: t - i, of a shape that fits, in steps; e = r + age.
        ramp: R, in steps.
        fade: the shape of the fade.
        early: in [0, 1).
    """
    if early == 0:
        return fade_bias(remaining, ramp, fade)
    ahead = early * (remaining + age).clamp(min=0.0)
    return fade_bias(remaining - ahead, ramp + ahead, fade)


def is_held(remaining: Tensor, ramp: float) -> Tensor:
    """Whether a memory with `remaining` steps left can still be attended, now or later."""
    return remaining > -ramp


class SpanHead(nn.Module):
    """The lifetime of a state: e = L * sigmoid(w . (h - center) / scale + b).

    `w` starts at zero, so every span starts at `initial_fraction * L`. `center` and `scale` are
    constants, 0 and 1 until `calibrate` measures them: with centred inputs, a push on one kind of
    state moves `w` for that kind and hardly moves the others through `b`.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, width: int, max_span: float, initial_fraction: float):
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
        centred = (hidden - self.center) / self.scale
        return centred @ self.weight + self.bias

    @torch.no_grad()
    def calibrate(self, hidden: Tensor) -> None:
        """Measure `center` and `scale` on states `[..., D]`; spans do not move while w is zero."""
        flat = hidden.reshape(-1, hidden.shape[-1])
        self.center.copy_(flat.mean(0))
        self.scale.copy_((flat - self.center).pow(2).mean().sqrt().clamp(min=1e-6))


def mean_span(spans: Tensor) -> Tensor:
    """The paper's cost (equation 7), averaged: mean of `spans`, in steps."""
    return spans.mean()


def span_penalty(logits: Tensor, max_span: float, ramp: float) -> Tensor:
    """What learning to forget pays: the mean of log(1 + o / R), in nats.

    o = e / (1 - e / L), in steps: the span itself where it is short, and beyond all bounds as it
    nears L. For e well above R the price is that of its logarithm, so that halving it saves the
    same whether it was 300 steps long or 30; and its pull on the logit is the same all the way
    up, where that of any function of e would vanish with the slope of the sigmoid.

    Args:
        logits: of the spans, any shape.
        max_span: L, in steps.
        ramp: R, in steps.
    """
    return nn.functional.softplus(logits + math.log(max_span / ramp)).mean()


def ramp_span(spans: Tensor, remaining: Tensor, ramp: float) -> Tensor:
    """The paper's cost where only memories on the ramp pay.

    A memory spends R steps on the ramp, so dividing by R makes its expectation the mean span.

    Args:
        spans: `[B, K]`, in steps.
        remaining: `[B, T, K]`, in steps.
        ramp: R, in steps.

    Returns:
        `[]`: the mean over queries of the spans on the ramp, over R.
    """
    on_ramp = (remaining < 0) & (remaining > -ramp)
    return (on_ramp * spans.unsqueeze(1)).sum(-1).mean() / ramp
