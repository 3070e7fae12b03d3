"""Checks of what is passed to `reset`, `step` and the constructor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray


def check_render_mode(render_mode: str | None, known: Sequence[str]) -> None:
    """Check that an environment has a render mode.

    Args:
        render_mode: The requested mode; None is always valid.
        known: The environment's modes.

    Raises:
        ValueError: If the mode is unknown; the message lists the known ones.
    """
    if render_mode is not None and render_mode not in known:
        raise ValueError(f"render_mode={render_mode!r} is unknown: give None or one of {known}")


def check_actions(actions: Any, num_envs: int, num_actions: int) -> npt.NDArray[Any]:
    """Return the actions as an array.

    Raises:
        ValueError: If they are not `num_envs` integers in `[0, num_actions)`.
    """
    array = np.asarray(actions)
    if array.shape != (num_envs,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"actions must be {num_envs} integers, shape ({num_envs},), but are "
            f"{array.dtype} of shape {array.shape}"
        )
    if array.min() < 0 or array.max() >= num_actions:
        bad = array[(array < 0) | (array >= num_actions)][0]
        raise ValueError(f"actions must lie in 0 to {num_actions - 1}, but one is {bad}")
    return array


def check_reset_mask(options: dict[str, Any] | None, num_envs: int) -> BoolArray:
    """Return `options["reset_mask"]`, or all True if there is none.

    Raises:
        ValueError: If it is not a bool array `[num_envs]` with at least one True.
    """
    mask = (options or {}).get("reset_mask")
    if mask is None:
        return np.ones(num_envs, np.bool_)
    is_mask = isinstance(mask, np.ndarray) and mask.dtype == np.bool_
    if not is_mask or mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must be a bool array of shape ({num_envs},) with at least "
            "one True"
        )
    return mask


def check_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> Sequence[int | None]:
    """Return one seed or None per environment; an integer s becomes s, s + 1, ...

    Returns:
        Seeds `[num_envs]`, or an empty sequence if `seed` is None.

    Raises:
        ValueError: If there is not one seed per environment, or one is not an integer >= 0.
    """
    if seed is None:
        return []
    if isinstance(seed, (int, np.integer)):
        seed = [int(seed) + row for row in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"seed: give {num_envs} seeds, one per environment, not {len(seed)}")
    for value in seed:
        if value is not None and (not isinstance(value, (int, np.integer)) or value < 0):
            raise ValueError(f"seed={value!r} is impossible: give an integer of at least 0")
    return seed
