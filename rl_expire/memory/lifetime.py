"""How long each state is remembered, and how its memory fades: what sets the agents apart.

Expire-Span gives every state its own lifetime, Adaptive-Span every head its own window, and
Transformer-XL all of them one fixed window. The memory, the attention and the learner are the same.
"""

from __future__ import annotations

import math
from abc import abstractmethod
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

SpanCost = Literal["mean", "ramp"]


class Lifetime(nn.Module):
    """Decides the lifetime of states, in steps.

    A memory written `age` steps ago with lifetime `span` has `remaining = span - age` steps left,
    and is dropped for good once `remaining <= -ramp`.
    """

    ramp: float

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """Return the lifetimes `[...]` of states `[..., D]`."""

    @abstractmethod
    def fade(self, remaining: Tensor, age: Tensor, early: float = 0.0) -> Tensor:
        """Return the attention bias `[B, 1 or H, T, K]` of memories, given `[B, T, K]` each.

        With `early`, fading begins ahead of time (see `early_fade_bias`).
        """

    @abstractmethod
    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return what remembering costs, `[]`, in steps.

        Args:
            own: `[B, T]`, the lifetimes of the segment's states.
            spans: `[B, K]`, those of all memories.
            remaining: `[B, T, K]`, infinite where a memory cannot be seen.
        """

    @abstractmethod
    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return the price `[]` of remembering states `[..., D]` that forgetting is learned by.

        It grows with the logarithm of the lifetime.
        """

    @abstractmethod
    def calibrate(self, hidden: Tensor) -> None:
        """Measure, on states `[..., D]`, whatever lifetimes are computed from."""


class ExpireSpan(Lifetime):
    """A lifetime for every state, learned (Sukhbaatar et al. 2021, section 3)."""

    def __init__(
        self,
        width: int,
        *,
        max_span: float,
        initial_fraction: float,
        ramp: float,
        shape: Fade,
        paid: SpanCost,
    ):
        super().__init__()
        self.ramp, self.paid = ramp, paid
        self.shape: Fade = shape
        self.head = SpanHead(width, max_span, initial_fraction)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the lifetimes `[...]` of states `[..., D]`."""
        return self.head(hidden)

    def fade(self, remaining: Tensor, age: Tensor, early: float = 0.0) -> Tensor:
        """Return the bias `[B, 1, T, K]`, the same for every head."""
        return early_fade_bias(remaining, age, self.ramp, self.shape, early).unsqueeze(1)

    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return the mean lifetime, or that of the memories on the ramp."""
        return ramp_span(spans, remaining, self.ramp) if self.paid == "ramp" else mean_span(own)

    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return the mean price of a lifetime."""
        return span_penalty(self.head.logit(hidden), self.head.max_span, self.ramp)

    def calibrate(self, hidden: Tensor) -> None:
        """Centre the inputs of the lifetimes."""
        self.head.calibrate(hidden)


class FixedWindow(Lifetime):
    """The same lifetime for every state, nothing learned (Dai et al. 2019, section 3.2).

    With a ramp of one step, memories of age 0 to `window` are held in full, older ones not at all.
    """

    ramp = 1.0

    def __init__(self, window: int):
        super().__init__()
        self.window = window

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the window for each of the states `[..., D]`."""
        return hidden.new_full(hidden.shape[:-1], self.window)

    def fade(self, remaining: Tensor, age: Tensor, early: float = 0.0) -> Tensor:
        """Return zeros `[B, 1, T, K]` inside the window, -inf outside."""
        zeros = torch.zeros_like(remaining)
        return zeros.masked_fill(~is_held(remaining, self.ramp), -math.inf).unsqueeze(1)

    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return zero: there is nothing to choose."""
        return own.new_zeros(())

    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return zero, likewise."""
        return hidden.new_zeros(())

    def calibrate(self, hidden: Tensor) -> None:
        """Nothing to measure."""


class HeadWindows(Lifetime):
    """A window for every attention head, learned (Sukhbaatar et al. 2019, section 2.2).

    A state is held while the longest window reaches it. Windows are L * sigmoid(b_h), so that steps
    of the optimiser mean the same as for Expire-Span.
    """

    def __init__(
        self, heads: int, *, max_span: float, initial_fraction: float, ramp: float, shape: Fade
    ):
        super().__init__()
        self.ramp, self.max_span = ramp, max_span
        self.shape: Fade = shape
        logit = math.log(initial_fraction / (1 - initial_fraction))
        self.bias = nn.Parameter(torch.full((heads,), logit))

    @property
    def windows(self) -> Tensor:
        """The windows `[H]`, in steps."""
        return self.max_span * torch.sigmoid(self.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the longest window for each of the states `[..., D]`."""
        return self.windows.max().expand(hidden.shape[:-1])

    def fade(self, remaining: Tensor, age: Tensor, early: float = 0.0) -> Tensor:
        """Return the bias `[B, H, T, K]` of each head."""
        age = age.unsqueeze(1)
        left = self.windows.view(1, -1, 1, 1) - age
        gone = ~is_held(remaining, self.ramp).unsqueeze(1)
        left = left.masked_fill(gone, -math.inf)
        return early_fade_bias(left, age, self.ramp, self.shape, early)

    def cost(self, own: Tensor, spans: Tensor, remaining: Tensor) -> Tensor:
        """Return the mean window (their equation 3)."""
        return self.windows.mean()

    def span_penalty(self, hidden: Tensor) -> Tensor:
        """Return the mean price of a window."""
        return span_penalty(self.bias, self.max_span, self.ramp)

    def calibrate(self, hidden: Tensor) -> None:
        """Nothing to measure."""
