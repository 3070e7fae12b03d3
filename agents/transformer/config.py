"""Options of all transformers."""

from __future__ import annotations

from dataclasses import dataclass

from agents.blocks.config import LayersConfig
from rl_expire.validate import OptionError, check_range


@dataclass(frozen=True)
class TransformerConfig(LayersConfig):
    """Options of all transformers."""

    heads: int = 4
    """Number of attention heads; must divide the width."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_range(self, "heads", least=1)
        if self.width % self.heads:
            raise OptionError(
                self, "heads", f"is {self.heads}: choose a divisor of the width {self.width}"
            )
