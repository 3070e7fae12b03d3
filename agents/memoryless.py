"""The control: the same network with nothing remembered; its score needs no memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.transformer import MemoryTransformer, TransformerConfig
from rl_expire.memory.lifetime import FixedWindow


@dataclass(frozen=True)
class MemorylessConfig(TransformerConfig):
    """An agent without memory."""

    name: ClassVar[str] = "memoryless"
    size_option: ClassVar[str | None] = None


class Memoryless(MemoryTransformer[MemorylessConfig]):
    """A transformer whose every layer sees the present step alone."""

    def make_lifetime(self) -> FixedWindow:
        """A window of nothing but the present."""
        return FixedWindow(0)

    @property
    def capacity(self) -> int:
        """The present."""
        return 1
