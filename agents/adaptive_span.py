"""Adaptive-Span: every attention head learns how far back it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.spans import SpanConfig
from agents.transformer import MemoryTransformer
from rl_expire.memory.lifetime import HeadWindows


@dataclass(frozen=True)
class AdaptiveSpanConfig(SpanConfig):
    """Adaptive-Span."""

    name: ClassVar[str] = "adaptive-span"


class AdaptiveSpan(MemoryTransformer[AdaptiveSpanConfig]):
    """A learned window a head (Sukhbaatar et al. 2019): what all memories live, not each its own.

    The longest window decides what is held, so one memory that is needed for long keeps all others.
    """

    def make_lifetime(self) -> HeadWindows:
        """The windows of one layer."""
        c = self.config
        return HeadWindows(
            c.heads,
            max_span=c.max_span,
            initial_fraction=c.initial_fraction,
            ramp=c.ramp,
            shape=c.fade,
        )

    @property
    def capacity(self) -> int:
        """The most memories a layer holds."""
        return self.config.capacity
