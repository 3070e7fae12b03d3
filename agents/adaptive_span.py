"""Adaptive-Span: every attention head learns how far back it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.transformer.spans import SpanConfig, SpanTransformer
from rl_expire.memory.lifetime import HeadWindows


@dataclass(frozen=True)
class AdaptiveSpanConfig(SpanConfig):
    """Adaptive-Span: every attention head learns how far back it looks."""

    name: ClassVar[str] = "adaptive-span"


class AdaptiveSpan(SpanTransformer[AdaptiveSpanConfig]):
    """A learned window for each attention head (Sukhbaatar et al. 2019).

    All memories live as long as the longest window, so one memory that is needed for long keeps all
    others.
    """

    def make_lifetime(self) -> HeadWindows:
        """Return new windows for one layer."""
        c = self.config
        return HeadWindows(
            c.heads,
            max_span=c.max_span,
            initial_fraction=c.initial_fraction,
            ramp=c.ramp,
            fade_shape=c.fade,
        )
