"""How long each state is remembered and how its memory fades: the difference between the agents.

Expire-Span learns a lifetime for every state, Adaptive-Span a window for every head, and
Transformer-XL has one fixed window. Memory, attention and learner are the same for all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from rl_expire.memory.expire_span import (
    Fade,
    SpanHead,
    early_fade_bias,
    is_held,
    mean_span,
    ramp_span,
    span_penalty,
)
from rl_expire.memory.horizon import Horizon

SpanCost = Literal["mean", "ramp"]


class Lifetime(nn.Module, ABC):
    """Base class of modules that decide the lifetimes of states, in steps.

    A memory written `age` steps ago with lifetime `span` has `remaining = span - age` steps left.
    It is dropped for good once `remaining <= -ramp`.
    """

    ramp: float

    @abstractmethod
    def forward(self, hidden: Tensor, *, early: float = 0.0) -> Tensor:
        """Return the lifetimes `[...]` of states `[..., D]`; `early` as in `MemoryLayer.unroll`."""

    def set_horizon(self, age: float) -> None:
        """Set the age, in steps, up to which training tests memories."""

    def ages(self, age: Tensor) -> Tensor:
        """Return the ages that attention sees, of the same shape as `age`."""
        return age

    @abstractmethod
    def fade(self, remaining: Tensor, age: Tensor, early: float | Tensor = 0.0) -> Tensor:
        """Return the attention bias of memories.

        Args:
            remaining: `[B, T, K]`, in steps.
            age: `[B, T, K]`, as lifetimes count it.
            early: share of the lifetime by which fading starts ahead of time, see
                `early_fade_bias`; a number or `[B, 1, 1]`.

        Returns:
            `[B, 1 or H, T, K]`.
        """

    @abstractmethod
    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return the cost of memory in joint training, `[]`, in steps.

        Args:
            own: `[B, T]`, lifetimes of the segment's states.
            spans: `[B, K]`, lifetimes of all memories.
            remaining: `[B, T, K]`, inf where a memory cannot be seen.
        """

    @abstractmethod
    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return the mean penalty `[]` on the lifetimes of states `[..., D]` for forgetting.

        It grows with the logarithm of the lifetime, see `expire_span.span_penalty`.
        """

    @abstractmethod
    def calibrate(self, hidden: Tensor) -> None:
        """Set the normalisation of the inputs of lifetimes from states `[..., D]`."""


class ExpireSpan(Lifetime):
    """A learned lifetime for every state (Sukhbaatar et al. 2021, section 3).

    Args:
        width: D.
        max_span: L, in steps.
        initial_fraction: initial lifetime as a fraction of L.
        ramp: R, in steps.
        fade_shape: shape of the fade.
        span_cost: `mean` for the mean span as the cost, `ramp` for spans on the ramp only.
    """

    def __init__(
        self,
        width: int,
        *,
        max_span: float,
        initial_fraction: float = 0.1,
        ramp: float,
        fade_shape: Fade = "linear",
        span_cost: SpanCost = "mean",
    ):
        """Create the head that computes lifetimes."""
        super().__init__()
        self.ramp, self.span_cost = ramp, span_cost
        self.fade_shape: Fade = fade_shape
        self.head = SpanHead(width, max_span, initial_fraction)
        self.horizon = Horizon()

    def forward(self, hidden: Tensor, *, early: float = 0.0) -> Tensor:
        """Return the lifetimes `[...]` of states `[..., D]`.

        While memories fade ahead of time, these are the spans that the head computes; otherwise
        those beyond the horizon of training never end.
        """
        spans = self.head(hidden)
        return spans if early else self.horizon.lifetimes(spans)

    def set_horizon(self, age: float) -> None:
        """Set the age up to which training tests memories."""
        self.horizon.set(age)

    def ages(self, age: Tensor) -> Tensor:
        """Return `age`, but no more than the horizon of training."""
        return self.horizon.ages(age)

    def fade(self, remaining: Tensor, age: Tensor, early: float | Tensor = 0.0) -> Tensor:
        """Return the bias `[B, 1, T, K]`, the same for every head."""
        return early_fade_bias(remaining, age, self.ramp, self.fade_shape, early).unsqueeze(1)

    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return the mean lifetime of new states, or the cost of memories on the ramp."""
        if self.span_cost == "ramp":
            return ramp_span(spans, remaining, self.ramp)
        return mean_span(own)

    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return the mean penalty on the lifetimes of states `[..., D]`."""
        return span_penalty(self.head.logit(hidden), self.head.max_span, self.ramp)

    def calibrate(self, hidden: Tensor) -> None:
        """Centre and scale the inputs of the lifetimes."""
        self.head.calibrate(hidden)


class FixedWindow(Lifetime):
    """The same fixed lifetime for every state (Dai et al. 2019, section 3.2).

    The ramp is one step long, so that memories of age 0 to `window` count fully and older ones not
    at all.

    Args:
        window: M, in steps.
    """

    ramp = 1.0

    def __init__(self, window: int):
        """Set the window; there are no weights."""
        super().__init__()
        self.window = window

    def forward(self, hidden: Tensor, *, early: float = 0.0) -> Tensor:
        """Return the window for each of the states `[..., D]`."""
        return hidden.new_full(hidden.shape[:-1], self.window)

    def fade(self, remaining: Tensor, age: Tensor, early: float | Tensor = 0.0) -> Tensor:
        """Return zeros `[B, 1, T, K]` inside the window, -inf outside."""
        zeros = torch.zeros_like(remaining)
        return zeros.masked_fill(~is_held(remaining, self.ramp), -math.inf).unsqueeze(1)

    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return zero: there is nothing to learn."""
        return own.new_zeros(())

    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return zero: there is nothing to learn."""
        return hidden.new_zeros(())

    def calibrate(self, hidden: Tensor) -> None:
        """Do nothing: lifetimes do not depend on states."""


class HeadWindows(Lifetime):
    """A learned window for every attention head (Sukhbaatar et al. 2019, section 2.2).

    A state is held while the longest window reaches it. Windows are L * sigmoid(b_h), so that an
    optimizer step has the same effect as for Expire-Span.

    Args:
        heads: H.
        max_span: L, in steps.
        initial_fraction: initial window as a fraction of L.
        ramp: R, in steps.
        fade_shape: shape of the fade.
    """

    def __init__(
        self, heads: int, *, max_span: float, initial_fraction: float, ramp: float, fade_shape: Fade
    ):
        """Create one logit for each window."""
        super().__init__()
        self.ramp, self.max_span = ramp, max_span
        self.fade_shape: Fade = fade_shape
        logit = math.log(initial_fraction / (1 - initial_fraction))
        self.bias = nn.Parameter(torch.full((heads,), logit))

    @property
    def windows(self) -> Tensor:
        """The windows `[H]`, in steps."""
        return self.max_span * torch.sigmoid(self.bias)

    def forward(self, hidden: Tensor, *, early: float = 0.0) -> Tensor:
        """Return the longest window for each of the states `[..., D]`."""
        return self.windows.max().expand(hidden.shape[:-1])

    def fade(self, remaining: Tensor, age: Tensor, early: float | Tensor = 0.0) -> Tensor:
        """Return the bias `[B, H, T, K]` of each head."""
        age = age.unsqueeze(1)
        left = self.windows.view(1, -1, 1, 1) - age
        gone = ~is_held(remaining, self.ramp).unsqueeze(1)
        left = left.masked_fill(gone, -math.inf)
        early = early.unsqueeze(1) if isinstance(early, Tensor) else early
        return early_fade_bias(left, age, self.ramp, self.fade_shape, early)

    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return the mean window (equation 3 of the paper)."""
        return self.windows.mean()

    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return the mean penalty on the windows."""
        return span_penalty(self.bias, self.max_span, self.ramp)

    def calibrate(self, hidden: Tensor) -> None:
        """Do nothing: lifetimes do not depend on states."""
