"""A recurrent transformer whose memories each carry a learned lifetime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.spans import SpanConfig
from agents.transformer import MemoryTransformer
from rl_expire.memory.lifetime import ExpireSpan, SpanCost


@dataclass(frozen=True)
class ExpireSpanConfig(SpanConfig):
    """The Expire-Span transformer."""

    span_cost: SpanCost = "mean"
    """What joint training pays for: the `mean` span, or spans on the `ramp` only."""

    name: ClassVar[str] = "expire-span"


class ExpireTransformer(MemoryTransformer[ExpireSpanConfig]):
    """Every state decides, as it is stored, how long it is to be kept (Sukhbaatar et al. 2021)."""

    def make_lifetime(self) -> ExpireSpan:
        """The lifetimes of one layer."""
        c = self.config
        return ExpireSpan(
            c.width,
            max_span=c.max_span,
            initial_fraction=c.initial_fraction,
            ramp=c.ramp,
            shape=c.fade,
            paid=c.span_cost,
        )

    @property
    def capacity(self) -> int:
        """The most memories a layer holds."""
        return self.config.capacity
