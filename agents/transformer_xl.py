"""Transformer-XL for reinforcement learning: every layer sees a fixed window of past states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.transformer import MemoryTransformer, TransformerConfig
from rl_expire.memory.lifetime import FixedWindow
from rl_expire.validate import check_range


@dataclass(frozen=True)
class TransformerXLConfig(TransformerConfig):
    """Transformer-XL: every layer sees a fixed window of past states."""

    window: int = 128
    """M, number of past states that each layer sees besides the current one."""

    name: ClassVar[str] = "transformer-xl"
    size_option: ClassVar[str | None] = "window"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_range(self, "window", least=0)


class TransformerXL(MemoryTransformer[TransformerXLConfig]):
    """Segment-level recurrence over a fixed window (Dai et al. 2019, section 3.2).

    States from before a segment are constants; those within it carry gradients, so that a segment
    of T steps is learned at once. Positions are ages, which are relative as in the paper. Each
    layer sees M states before the current one, each of which has seen M states before it, so N
    layers reach N * M steps back.
    """

    def make_lifetime(self) -> FixedWindow:
        """Return a window of length M."""
        return FixedWindow(self.config.window)

    @property
    def capacity(self) -> int:
        """The window and the current state."""
        return self.config.window + 1
