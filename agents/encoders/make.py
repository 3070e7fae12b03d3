"""Choice of the encoder for an observation space."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from torch import nn

from agents.encoders.base import Encoder
from agents.encoders.dictionary import DictEncoder
from agents.encoders.grid import GridEncoder
from agents.encoders.pixels import PixelEncoder, channel_axis
from agents.encoders.tokens import TokenEncoder
from agents.encoders.vector import VectorEncoder
from rl_expire.vector.cells import is_cells
from rl_expire.vector.nest import flat_space, unsupported
from rl_expire.vector.tokenize_text import is_text

READ = spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary
"""Spaces without parts that have an encoder."""
MOST_TOKENS = 2**20
"""Largest number of categories, each of which has an embedding of its own."""


def make_encoder(space: gym.Space, width: int) -> Encoder:
    """Return a new encoder for `space`.

    MiniGrid cells (see `is_cells`) are encoded as categories, other uint8 images as pixels,
    `Discrete` and `MultiDiscrete` as token sequences, all other boxes and `MultiBinary` as vectors,
    and a nest of these as the sum of its leaves (see `rl_expire.vector.nest`).

    Args:
        space: observation space.
        width: D.

    Raises:
        ObservationSpaceError: the space is not supported; the message is one line.
    """
    flat = flat_space(space)
    if not isinstance(flat, spaces.Dict):
        return _leaf_encoder(flat, width, "")
    parts = {key: _leaf_encoder(part, width, f"[{key!r}]") for key, part in flat.items()}
    return DictEncoder(parts)


def _leaf_encoder(space: gym.Space, width: int, at: str) -> Encoder:
    """Return a new encoder for a space without parts.

    Args:
        space: one of the leaves of the observation space.
        width: D.
        at: where it is, for the message of an error.
    """
    _check_leaf(space, at)
    if isinstance(space, spaces.Discrete):
        return TokenEncoder(int(space.n), int(space.start), (), width)
    if isinstance(space, spaces.MultiDiscrete):
        return TokenEncoder(int(space.nvec.max()), space.start, space.shape, width)
    if isinstance(space, spaces.Box) and is_cells(space):
        return GridEncoder(space, width)
    if isinstance(space, spaces.Box) and (axis := channel_axis(space)) is not None:
        return PixelEncoder(space, axis, width)
    assert isinstance(space, spaces.Box | spaces.MultiBinary)
    return VectorEncoder(math.prod(space.shape), len(space.shape), width)


def _check_leaf(space: gym.Space, at: str) -> None:
    """Check that a space without parts can be encoded.

    Raises:
        ObservationSpaceError: it cannot.
    """
    if is_text(space):
        raise unsupported(
            space,
            at,
            "a text has to be tokens: make the environment by make_envs or load_policy, or wrap it "
            "in rl_expire.vector.tokenize_text.TokenizeText",
        )
    if not isinstance(space, READ):
        raise unsupported(
            space,
            at,
            f"agents read Box, Discrete, MultiDiscrete, MultiBinary and Text, and Dict and Tuple "
            f"of these, but no {type(space).__name__}: use a wrapper, such as "
            "gymnasium.wrappers.TransformObservation, that provides one of them",
        )
    if math.prod(space.shape or ()) == 0:
        raise unsupported(space, at, "it holds no numbers: remove it, or give it some")
    if isinstance(space, spaces.Box) and bool((np.isnan(space.low) | np.isnan(space.high)).any()):
        raise unsupported(space, at, "a bound is NaN: use a number, or numpy.inf for none")
    most = 0
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        most = int(space.n if isinstance(space, spaces.Discrete) else space.nvec.max())
    if most > MOST_TOKENS:
        raise unsupported(
            space,
            at,
            f"it has {most:,} categories, more than {MOST_TOKENS:,}: if they are numbers, use a "
            "Box of integers",
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
