"""Expire-Span: every memory has a learned lifetime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.transformer.spans import SpanConfig, SpanTransformer
from rl_expire.memory.lifetime import ExpireSpan, SpanCost


@dataclass(frozen=True)
class ExpireSpanConfig(SpanConfig):
    """Expire-Span: every memory has a learned lifetime."""

    span_cost: SpanCost = "mean"
    """Cost of memory in joint training: the `mean` span, or spans on the `ramp` only."""

    name: ClassVar[str] = "expire-span"


class ExpireTransformer(SpanTransformer[ExpireSpanConfig]):
    """A learned lifetime for each state, fixed when it is stored (Sukhbaatar et al. 2021)."""

    def make_lifetime(self) -> ExpireSpan:
        """Return new lifetimes for one layer."""
        c = self.config
        return ExpireSpan(
            c.width,
            max_span=c.max_span,
            initial_fraction=c.initial_fraction,
            ramp=c.ramp,
            fade_shape=c.fade,
            span_cost=c.span_cost,
        )
