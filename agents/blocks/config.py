"""Options that all agents share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from rl_expire.validate import OptionError, check_range

MOST_LAYERS = 1000
"""Largest number of layers."""
MOST_WEIGHTS = 2**27
"""Largest number of weights in one matrix of the feed-forward blocks, summed over all layers."""


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
        check_range(self, "layers", most=MOST_LAYERS)
        if self.layers * self.feed_forward * self.width**2 > MOST_WEIGHTS:
            others = f"layers {self.layers}, feed_forward {self.feed_forward}"
            problem = f"is {self.width}: that agent is too large ({others}), choose less"
            raise OptionError(self, "width", problem)
        check_range(self, "reconstruct", least=0, below=math.inf)
