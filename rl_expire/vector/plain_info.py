"""Reduce the `info` of an environment to what can be batched and is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from rl_expire.info import flag, scalar
from rl_expire.types import FLAGS, InfoKey


class PlainInfo(gym.Wrapper):
    """Wrapper that keeps only numbers, flags and the mask of actions of an environment's `info`.

    Gymnasium batches the values of a key in an array of the first one's type and shape. So an int
    in the first environment would truncate the floats of the others, and arrays of another length,
    None or dicts would raise. Numbers are therefore made floats, and all else is left out.

    Raises:
        ValueError: by `reset` and `step`: the value of one of this project's keys has the wrong
            type, or there is no such key.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, plain_info(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, plain_info(info)


def plain_info(info: Mapping[Any, Any]) -> dict[str, float | bool | np.ndarray]:
    """Return the flags of `info` as bools, its numbers as floats, and its mask of actions.

    Keys that begin with an underscore are left out, as Gymnasium uses them for masks.

    Raises:
        ValueError: a key begins with this project's prefix and is unknown, or its value is no flag.
    """
    plain: dict[str, float | bool | np.ndarray] = {}
    for key, value in info.items():
        if not isinstance(key, str) or key.startswith("_") or key == InfoKey.TEXT:
            continue
        if key in FLAGS:
            plain[key] = flag(value, key)
        elif key == InfoKey.ACTION_MASK:
            plain[key] = np.asarray(value).reshape(-1)
        elif key.startswith(InfoKey.PREFIX):
            known = ", ".join([*FLAGS, InfoKey.TEXT])
            raise ValueError(f"info has an unknown key {key!r}: the keys are {known}")
        elif (number := scalar(value)) is not None:
            plain[key] = number
    return plain
