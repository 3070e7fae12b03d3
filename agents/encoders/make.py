"""Choice of the encoder for an observation space."""

from __future__ import annotations

import math

import gymnasium as gym
from gymnasium import spaces
from torch import nn

from agents.encoders.base import Encoder
from agents.encoders.dictionary import DictEncoder
from agents.encoders.grid import GridEncoder
from agents.encoders.pixels import PixelEncoder, channel_axis
from agents.encoders.tokens import TokenEncoder
from agents.encoders.vector import VectorEncoder
from rl_expire.vector.cells import is_cells


def make_encoder(space: gym.Space, width: int, path: str = "") -> Encoder:
    """Return a new encoder for `space`.

    MiniGrid cells (see `is_cells`) are encoded as categories, other uint8 images as pixels,
    `Discrete` and `MultiDiscrete` vectors as token sequences, all other boxes and `MultiBinary` as
    vectors, and a `Dict` of these as the sum of its entries.

    Args:
        space: observation space.
        width: D.
        path: location of `space` within the whole observation space, such as `['image']`.

    Raises:
        ValueError: the space is not supported.
    """
    if isinstance(space, spaces.Dict) and len(space) and not path:
        parts = {key: make_encoder(part, width, f"[{key!r}]") for key, part in space.items()}
        if other := [key for key in parts if not isinstance(key, str)]:
            raise ValueError(f"observation key {other[0]!r} is not supported: use a string")
        return DictEncoder(parts)
    if isinstance(space, spaces.Discrete):
        return TokenEncoder(int(space.n), int(space.start), None, width)
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        return TokenEncoder(int(space.nvec.max()), space.start, space.shape[0], width)
    if isinstance(space, spaces.Box) and is_cells(space):
        return GridEncoder(space, width)
    if isinstance(space, spaces.Box) and (axis := channel_axis(space)) is not None:
        return PixelEncoder(space, axis, width)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return VectorEncoder(math.prod(space.shape), len(space.shape), width)
    name = " ".join(str(space).split())
    at = f" at {path}" if path else ""
    raise ValueError(
        f"observation space {name}{at} is not supported: use a wrapper that provides a Box, "
        "Discrete, one-dimensional MultiDiscrete or MultiBinary space, or a flat Dict of these "
        "(gymnasium.wrappers.FlattenObservation makes a vector of most spaces)"
    )


def describe_encoder(agent: nn.Module) -> dict[str | None, str]:
    """Return what each observation is read as, by its key; None is an observation without keys.

    Args:
        agent: a module that contains an encoder; nothing is returned if it contains none.
    """
    encoder = next((part for part in agent.modules() if isinstance(part, Encoder)), None)
    if isinstance(encoder, DictEncoder):
        return {key: part.describe() for key, part in encoder.encoders().items()}
    return {} if encoder is None else {None: encoder.describe()}
