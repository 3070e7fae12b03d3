"""Options that recurrent agents share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.blocks.config import LayersConfig
from rl_expire.validate import check_range


@dataclass(frozen=True)
class RecurrentConfig(LayersConfig):
    """Options of agents with a recurrent core."""

    time_scale: int = 200
    """Longest time, in steps, for which units remember at initialisation."""

    size_option: ClassVar[str | None] = "width"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_range(self, "time_scale", least=2)
