"""Transformer-XL for reinforcement learning: a fixed window of past states in every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.blocks import at_least
from agents.transformer import MemoryTransformer, TransformerConfig
from rl_expire.memory.lifetime import FixedWindow


@dataclass(frozen=True)
class TransformerXLConfig(TransformerConfig):
    """Transformer-XL."""

    window: int = 128
    """M, the past states that each layer sees, besides the present one."""

    name: ClassVar[str] = "transformer-xl"
    size_option: ClassVar[str | None] = "window"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, self, "window")


class TransformerXL(MemoryTransformer[TransformerXLConfig]):
    """Segment-level recurrence over a fixed window (Dai et al. 2019, section 3.2).

    States from before the segment are constants, those within it carry gradient, so a segment of T
    steps is learned at once. Position is the age of a memory, as relative in meaning as theirs. A
    layer sees the M states before the present one, each of which had seen M before it: N layers
    reach N * M steps back.
    """

    def make_lifetime(self) -> FixedWindow:
        """The window."""
        return FixedWindow(self.config.window)

    @property
    def capacity(self) -> int:
        """The window and the present."""
        return self.config.window + 1
