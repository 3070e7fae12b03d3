"""What Expire-Span and Adaptive-Span share: options and capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from agents.transformer.agent import MemoryTransformer
from agents.transformer.config import TransformerConfig
from rl_expire.memory.expire_span import Fade
from rl_expire.validate import check_range

LONGEST = 2**53
"""Upper bound of numbers of steps, up to which floats hold all of them exactly."""
SHORTEST_RAMP = 1e-6
"""Steps over which a memory has to fade at least: it is divided by, in single precision."""


@dataclass(frozen=True)
class SpanConfig(TransformerConfig):
    """Options of transformers with learned spans: lifetimes of states or windows of heads."""

    max_span: float = 100_000.0
    """L, the upper limit of a span, in steps. Far below it, spans grow and shrink by factors."""
    initial_fraction: float = 0.003
    """Initial span, as a fraction of L."""
    ramp: float = 4.0
    """R, number of steps over which a memory fades after its span has ended."""
    fade: Fade = "log-linear"
    """Shape of the fade: `linear` as in the paper, or `log-linear`."""
    capacity: int = 1024
    """Maximum number of memories per layer and environment, whatever their spans."""

    size_option: ClassVar[str | None] = "capacity"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_range(self, "capacity", least=1)
        check_range(self, "max_span", above=0, most=LONGEST)
        check_range(self, "ramp", above=SHORTEST_RAMP, most=LONGEST)
        check_range(self, "initial_fraction", above=0, below=1)


S = TypeVar("S", bound=SpanConfig)


class SpanTransformer(MemoryTransformer[S]):
    """A transformer with learned spans."""

    @property
    def capacity(self) -> int:
        """Maximum number of memories that a layer holds for one environment."""
        return self.config.capacity
