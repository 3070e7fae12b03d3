"""Options that all agents share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from rl_expire.validate import check_range


@dataclass(frozen=True)
class LayersConfig:
    """Options of a stack of layers between the embedding of a step and the heads."""

    width: int = 64
    """Width D of the hidden states."""
    layers: int = 1
    """Number of layers, each with a memory of its own."""
    feed_forward: int = 2
    """Hidden width of the feed-forward blocks, as a multiple of the width."""
    last_action: bool = True
    """Also feed the last action, through which the agent can leave itself notes."""
    last_obs: bool = False
    """Also feed the previous observation, so that one memory can hold cause and effect."""
    reconstruct: float = 0.0
    """Weight of the auxiliary observation-reconstruction loss, which makes states represent what
    differs between observations rather than what they have in common."""

    name: ClassVar[str]
    """Name of the agent on the command line and in `config.json`."""
    size_option: ClassVar[str | None]
    """The option that sets the size of its memory; None if it has none."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "width", "layers", "feed_forward", least=1)
        check_range(self, "reconstruct", least=0, below=math.inf)
