"""The options of agents that learn how long to remember."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from agents.blocks import at_least
from agents.transformer import TransformerConfig
from rl_expire.memory.expire_span import Fade


@dataclass(frozen=True)
class SpanConfig(TransformerConfig):
    """What Expire-Span and Adaptive-Span share; a span is a lifetime or a window."""

    max_span: float = 600.0
    """L, the longest span there can be, in steps."""
    initial_fraction: float = 0.5
    """The share of L that every span is before anything is learned."""
    ramp: float = 4.0
    """R, the steps over which an expiring memory fades; the reach of learning to forget."""
    fade: Fade = "log-linear"
    """Shape of the fade: ours (log-linear) or the paper's (linear)."""
    capacity: int = 1024
    """The most memories a layer holds for one environment, whatever their spans."""

    size_option: ClassVar[str | None] = "capacity"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "capacity")
        for name in ("max_span", "ramp"):
            if not 0 < getattr(self, name) < math.inf:
                option = "--agent." + name.replace("_", "-")
                raise ValueError(f"{option} is {getattr(self, name)}: choose a number above 0")
        if not 0 < self.initial_fraction < 1:
            raise ValueError(
                f"--agent.initial-fraction is {self.initial_fraction}: choose one between 0 and 1"
            )
