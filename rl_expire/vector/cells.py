"""Categories in observations: which boxes hold MiniGrid's cells, and which values are allowed."""

from __future__ import annotations

from typing import TypeGuard

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from minigrid.minigrid_env import MiniGridEnv

MOST_CATEGORIES = 32
"""A uint8 box with a higher bound holds the brightness of pixels, or other numbers."""


def is_cells(space: gym.Space) -> TypeGuard[spaces.Box]:
    """Return whether observations of `space` are cells of three categories each.

    These are uint8 `[h, w, 3]` whose upper bounds are below `MOST_CATEGORIES`. MiniGrid declares
    255 for cells and images alike: see `as_cells`.
    """
    return _has_three_bytes(space) and bool((space.high < MOST_CATEGORIES).all())


def may_be_cells(env: gym.Env, space: gym.Space) -> TypeGuard[spaces.Box]:
    """Return whether a part `space` of the observations of `env` may hold undeclared cells."""
    minigrid = isinstance(env.unwrapped, MiniGridEnv)
    return minigrid and _has_three_bytes(space) and not is_cells(space)


def as_cells(space: spaces.Box) -> spaces.Box:
    """Return `space`, `[h, w, 3]`, with MiniGrid's largest object, colour and state as bounds."""
    largest = max(OBJECT_TO_IDX.values()), max(COLOR_TO_IDX.values()), 3
    return spaces.Box(0, np.broadcast_to(np.array(largest, np.uint8), space.shape), dtype=np.uint8)


def category_mismatch(space: gym.Space, value: np.ndarray) -> str | None:
    """Explain which token or cell of an observation `value` its space does not allow.

    Returns:
        The explanation; None if all are allowed, or `space` holds no categories.
    """
    if isinstance(space, spaces.Discrete):
        low, high = space.start, space.start + space.n - 1
    elif isinstance(space, spaces.MultiDiscrete):
        low, high = space.start, space.start + space.nvec - 1
    elif is_cells(space):
        low, high = space.low, space.high
    else:
        return None
    wrong = (value < low) | (value > high)
    if not wrong.any():
        return None
    least, most = (np.broadcast_to(bound, value.shape)[wrong][0] for bound in (low, high))
    return f"holds {value[wrong][0]}, where its space allows {least} to {most}"


def _has_three_bytes(space: gym.Space) -> TypeGuard[spaces.Box]:
    """Return whether observations of `space` are uint8 `[h, w, 3]`."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] == 3
    )
