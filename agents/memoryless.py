"""Control without memory: its score shows what a task demands of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.transformer import MemoryTransformer, TransformerConfig
from rl_expire.memory.lifetime import FixedWindow


@dataclass(frozen=True)
class MemorylessConfig(TransformerConfig):
    """Control without memory: the same network, which sees only the current step."""

    name: ClassVar[str] = "memoryless"
    size_option: ClassVar[str | None] = None


class Memoryless(MemoryTransformer[MemorylessConfig]):
    """A transformer whose layers see only the current step."""

    def make_lifetime(self) -> FixedWindow:
        """Return a window of length 0."""
        return FixedWindow(0)

    @property
    def capacity(self) -> int:
        """The current state only."""
        return 1
