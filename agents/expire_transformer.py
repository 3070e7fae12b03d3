"""A recurrent transformer whose memories each carry a learned lifetime."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from agents.blocks import positive
from agents.transformer import MemoryTransformer, TransformerConfig
from rl_expire.expire_span import Fade
from rl_expire.lifetime import ExpireSpan, SpanCost


@dataclass(frozen=True)
class ExpireSpanConfig(TransformerConfig):
    """The Expire-Span transformer."""

    max_span: float = 600.0
    """L, the longest lifetime a memory can be given, in steps."""
    initial_fraction: float = 0.5
    """The share of L that every memory lives before anything is learned."""
    ramp: float = 8.0
    """R, the steps over which an expiring memory fades; the reach of learning to forget."""
    fade: Fade = "log-linear"
    """Shape of the fade: ours (log-linear) or the paper's (linear)."""
    span_cost: SpanCost = "mean"
    """What forgetting is paid for by: the `mean` span, or spans on the `ramp` only."""
    capacity: int = 1024
    """The most memories a layer holds for one environment, whatever their spans."""

    name: ClassVar[str] = "expire-span"
    size_option: ClassVar[str | None] = "capacity"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "capacity")
        for name in ("max_span", "ramp"):
            if not 0 < getattr(self, name) < math.inf:
                option = "--agent." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose a number above 0")
        if not 0 < self.initial_fraction < 1:
            raise ValueError(
                f"--agent.initial-fraction is {self.initial_fraction}: choose one between 0 and 1"
            )


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
