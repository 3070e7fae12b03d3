"""A model of characters on any kind of memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from agents.compressive import CompressiveConfig, CompressiveLayer
from rl_expire.memory import (
    ExpireSpan,
    FixedWindow,
    HeadWindows,
    MemoryLayer,
    MemoryStack,
    StackMemory,
    StackOutput,
)
from rl_expire.validate import OptionError, check_range

Kind = Literal["expire-span", "expire-span-joint", "transformer-xl", "adaptive-span", "compressive"]
CHARACTERS = 256


@dataclass(frozen=True)
class Body:
    """What all models share."""

    width: int = 64
    """Width of the states."""
    layers: int = 2
    """Number of layers, each with a memory of its own."""
    heads: int = 4
    """Number of attention heads; must divide the width."""
    ramp: float = 16.0
    """Number of steps over which a memory with a learned lifetime fades."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "width", "layers", "heads", least=1)
        check_range(self, "ramp", above=0, below=math.inf)
        if self.width % self.heads:
            problem = f"is {self.heads}: choose a divisor of the width {self.width}"
            raise OptionError(self, "heads", problem)


class Characters(nn.Module):
    """Embedding, layers with memory, and a distribution over the next character.

    Args:
        kind: what its layers remember.
        size: how many memories a layer holds at most: the window, the longest span, or for
            `compressive` the window and the averages together, half of it each.
        body: the rest.
    """

    def __init__(self, kind: Kind, size: int, body: Body):
        """Create the weights."""
        super().__init__()
        self.kind, self.size = kind, size
        self.embedding = nn.Embedding(CHARACTERS, body.width)
        self.stack = MemoryStack(make_layer(kind, size, body) for _ in range(body.layers))
        self.head = nn.Sequential(nn.LayerNorm(body.width), nn.Linear(body.width, CHARACTERS))

    def forward(
        self, text: Tensor, memory: StackMemory, *, early: float = 0.0
    ) -> tuple[Tensor, StackOutput]:
        """Return the logits `[B, T, 256]` of the characters after those of `text [B, T]`."""
        output = self.stack(self.embedding(text), memory, early=early)
        return self.head(output.states), output


def make_layer(kind: Kind, size: int, body: Body) -> MemoryLayer:
    """Return a layer that remembers as `kind` does."""
    if kind == "compressive":
        config = CompressiveConfig(
            width=body.width, heads=body.heads, window=size // 2, compressed=size - size // 2
        )
        return CompressiveLayer(config, config.capacity)
    if kind == "transformer-xl":
        lifetime, capacity = FixedWindow(size), size + 1
    elif kind == "adaptive-span":
        lifetime = HeadWindows(
            body.heads,
            max_span=size,
            initial_fraction=0.5,
            ramp=body.ramp,
            fade_shape="linear",
        )
        capacity = size + int(body.ramp) + 1
    else:
        lifetime = ExpireSpan(body.width, max_span=size, initial_fraction=0.5, ramp=body.ramp)
        capacity = size + int(body.ramp) + 1
    return MemoryLayer(body.width, body.heads, lifetime, capacity)
