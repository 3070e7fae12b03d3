"""Read the `info` of a vector environment, whichever way its values were batched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from rl_expire.info import flag, scalar
from rl_expire.types import FLAGS, InfoKey
from rl_expire.vector.faults import EnvFaultError
from rl_expire.vector.nest import leaves_of


def read_flags(info: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    """Return those of `types.FLAGS` that `info` holds, `[B]` bool each.

    Args:
        info: of B environments. A mask under the key with an underscore in front says which
            environments have set it; the others have the default.
        rows: B.

    Raises:
        EnvFaultError: a value is no flag; the message names key and environment.
    """
    return {key: _read_flag(info, key, rows) for key in FLAGS if key in info}


def _read_flag(info: Mapping[str, Any], key: str, rows: int) -> np.ndarray:
    """Return the flag `key` of B environments, `[B]` bool."""
    values, given = info[key], info.get(f"_{key}", np.ones(rows, bool))
    if not _is_batch(values, rows):
        raise EnvFaultError(f"info[{key!r}] is not an array of {rows} flags, one an environment")
    if isinstance(values, np.ndarray) and values.dtype == bool and values.ndim == 1:
        return np.where(given, values, FLAGS[key])
    flags = np.full(rows, FLAGS[key])
    for row in np.flatnonzero(given):
        try:
            flags[row] = flag(values[row], key)
        except ValueError as error:
            raise EnvFaultError(f"environment {row}: {error}") from None
    return flags


def read_action_mask(
    obs: Any,
    info: Mapping[str, Any],
    over: np.ndarray,
    categories: int,
    device: torch.device | None = None,
) -> Tensor | None:
    """Return which actions are allowed, `[B, C]` bool; None where the environments do not say.

    Args:
        obs: batch of observations; a dict may have the mask under `InfoKey.ACTION_MASK`.
        info: of B environments; it may have the mask under the same key.
        over: `[B]` bool, environments that the next step will only reset: any mask will do.
        categories: C, of all parts of an action together.
        device: where to put the mask.

    Raises:
        EnvFaultError: a mask does not fit, or allows no action.
    """
    key, rows = InfoKey.ACTION_MASK, len(over)
    if isinstance(obs, dict) and key in obs:
        values = obs[key]
    elif key in info:
        values = info[key]
    else:
        return None
    try:
        mask = np.asarray(values).reshape(rows, -1).astype(bool)
    except (TypeError, ValueError):
        mask = np.zeros((rows, 0), bool)
    if mask.shape[1] != categories:
        raise EnvFaultError(
            f"{key} of {rows} environments has shape {np.shape(values)}, not ({rows}, {categories})"
        )
    mask[over | ~np.asarray(info.get(f"_{key}", np.ones(rows, bool)), bool)] = True
    if (rows_without := np.flatnonzero(~mask.any(1))).size:
        raise EnvFaultError(f"environment {rows_without[0]}: {key} allows no action")
    return torch.as_tensor(mask, device=device)


def batch_of_one(obs: Any, info: Mapping[str, Any], space: gym.Space) -> tuple[Any, dict[str, Any]]:
    """Return an observation as a flat batch of one, and the mask of actions in `info` likewise.

    Args:
        obs: an observation, nested as `space` is.
        info: returned together with it.
        space: the observation space.

    Raises:
        LookupError, TypeError: `obs` is nested otherwise.
    """
    key = InfoKey.ACTION_MASK
    parts = leaves_of(space, obs)
    if isinstance(obs, Mapping) and key in obs:
        parts[key] = obs[key]
    batch = {name: np.asarray(part)[None] for name, part in parts.items()}
    given = {key: np.asarray(info[key])[None]} if key in info else {}
    return batch.get(None, batch), given


def row_scalars(info: Mapping[str, Any], row: int, rows: int) -> dict[str, float]:
    """Return the finite numbers that one environment has set in `info`.

    Args:
        info: of B environments.
        row: index of the environment.
        rows: B.
    """
    scalars = {}
    for name, values in info.items():
        given = info.get(f"_{name}")
        if name.startswith("_") or not _is_batch(values, rows) or not (given is None or given[row]):
            continue
        number = scalar(values[row])
        if number is not None:
            scalars[name] = number
    return scalars


def _is_batch(values: Any, rows: int) -> bool:
    """Return whether `values` holds one value for each of B environments."""
    is_array = isinstance(values, np.ndarray | Tensor) and len(values.shape) > 0
    return (is_array or isinstance(values, list | tuple)) and len(values) == rows
