"""Values of `info` as people write them, read as numbers and flags."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor


def scalar(value: Any) -> float | None:
    """Return a number or truth value as a float.

    Args:
        value: anything; arrays and tensors of one element count as that element.

    Returns:
        The number; None for whatever is no number, and for NaN and infinities.
    """
    if isinstance(value, np.generic | np.ndarray | Tensor):
        if math.prod(value.shape) != 1:
            return None
        value = value.item()
    if isinstance(value, np.bool_):  # from an array of objects
        value = bool(value)
    if not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def flag(value: Any, key: str) -> bool:
    """Return a truth value: a bool, or the numbers 0 and 1.

    Args:
        value: the value of `info[key]`.
        key: for the message.

    Raises:
        ValueError: it is anything else.
    """
    number = scalar(value)
    if number not in (0.0, 1.0):
        raise ValueError(f"info[{key!r}] is {_described(value)}: give True or False")
    return bool(number)


def _described(value: Any) -> str:
    """Describe a value in a few words."""
    if isinstance(value, np.ndarray | Tensor) and value.shape:
        return f"an array of shape {tuple(value.shape)}"
    if isinstance(value, str | float | int | None) or np.isscalar(value):
        return repr(value)[:40]
    return f"a {type(value).__name__}"
