"""How models of characters learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rl_expire.validate import check_range


@dataclass(frozen=True)
class Training:
    """How models learn."""

    text: Path | None = None
    """File to learn from, as bytes; by default the sources of Python's standard library."""
    most: int = 4_000_000
    """Number of bytes of the text that are used. The last twentieth is held out."""
    rows: int = 16
    """Parts of the text that are read side by side."""
    steps: int = 64
    """Characters of a segment, which is learned at once."""
    updates: int = 2_000
    """Number of segments that are learned."""
    rate: float = 2e-3
    """Highest learning rate."""
    alpha: float = 0.02
    """Weight of the cost of memory: for `expire-span` of the logarithm of the lifetimes; in joint
    training of the lifetimes or windows, as shares of the longest."""
    seed: int = 1
    """Seed of the weights."""
    threads: int = 1
    """CPU threads; 0: one per core."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "most", "rows", "steps", "updates", least=1)
        check_range(self, "rate", above=0, below=math.inf)
        check_range(self, "alpha", least=0, below=math.inf)
        check_range(self, "threads", least=0)
