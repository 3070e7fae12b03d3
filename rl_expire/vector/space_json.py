"""Spaces as JSON, for a policy that is used where its environment is not installed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rl_expire.vector.tokenize_text import is_text

LONGEST_TEXT = 2**16
"""Length of restored texts: agents see their first words only, whatever their space allows."""
BAD_ENTRY = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What the constructors of spaces raise when they are given anything at all."""
MOST_NUMBERS = 2**23
"""Largest size of a restored space without parts, so that a file cannot exhaust memory."""


def space_to_json(space: gym.Space) -> dict[str, Any]:
    """Return a description of `space` that JSON can hold.

    Of a space that agents support neither in observations nor in actions only the type is kept.
    """
    entry: dict[str, Any] = {"type": _kind(space)}
    if isinstance(space, spaces.Dict):
        if all(isinstance(key, str) for key in space.spaces):
            entry["spaces"] = {key: space_to_json(part) for key, part in space.spaces.items()}
    elif isinstance(space, spaces.Tuple):
        entry["spaces"] = [space_to_json(part) for part in space.spaces]
    elif isinstance(space, spaces.Box):
        entry |= {
            "shape": list(space.shape),
            "dtype": str(space.dtype),
            "low": _some(space.low, space.bounded_below),
            "high": _some(space.high, space.bounded_above),
        }
    elif isinstance(space, spaces.Discrete):
        entry |= {"n": int(space.n), "start": int(space.start), "dtype": str(space.dtype)}
    elif isinstance(space, spaces.MultiDiscrete):
        entry |= {"shape": list(space.shape), "dtype": str(space.dtype)}
        entry |= {"nvec": _short(space.nvec), "start": _short(space.start)}
    elif isinstance(space, spaces.MultiBinary):
        entry["shape"] = list(space.shape)
    return entry


def space_from_json(entry: Any) -> gym.Space:
    """Return the space that `space_to_json` has described; a text may have any characters.

    Raises:
        ValueError: `entry` describes no space; the message is one line.
    """
    try:
        return _restored(entry)
    except RecursionError:
        raise ValueError("it describes no space (it is nested too deeply)") from None
    except BAD_ENTRY as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"it describes no space ({type(error).__name__}: {reason})") from None


def _restored(entry: Any) -> gym.Space:
    """Return the space of an entry that may be anything; raises `BAD_ENTRY`."""
    return _BUILDERS[entry["type"]](entry)


def _kind(space: gym.Space) -> str:
    """Return the type by which `space` is restored, or its own if there is none."""
    if is_text(space):
        return "Text"
    kinds = (cls.__name__ for cls in type(space).__mro__)
    return next((name for name in kinds if name in _BUILDERS), type(space).__name__)


def _some(bounds: np.ndarray, bounded: np.ndarray) -> Any:
    """Return bounds as nested lists, with None where there is none."""
    values = bounds.astype(object)
    values[~bounded] = None
    return _short(values)


def _short(values: np.ndarray) -> Any:
    """Return an array as nested lists, without leading axes along which it does not change."""
    while values.ndim and len(values) and (values == values[:1]).all():
        values = values[0] if values.ndim > 1 else np.array(values[0], values.dtype)
    return values.tolist()


def _shape(entry: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of an entry.

    Raises:
        ValueError: it has none, or a very large one.
    """
    shape = entry["shape"]
    if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 32:
        raise ValueError("its shape is not a list of sizes")
    if math.prod(shape) > MOST_NUMBERS:
        raise ValueError(f"it holds more than {MOST_NUMBERS:,} numbers")
    return tuple(shape)


def _box(entry: dict[str, Any]) -> spaces.Box:
    """Return a box; bounds that are None stand for none."""
    dtype, shape = np.dtype(entry["dtype"]), _shape(entry)
    least, most = _limits(dtype)
    low, bounded_below = _bounds(entry["low"], least, dtype, shape)
    high, bounded_above = _bounds(entry["high"], most, dtype, shape)
    box = spaces.Box(low, high, dtype=dtype.type)
    box.bounded_below, box.bounded_above = bounded_below, bounded_above
    return box


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Return the bounds of a box of `dtype` that has none."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _bounds(
    values: Any, limit: float, dtype: np.dtype, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds of `shape`, `limit` where there is None, and where there is another."""
    given = np.broadcast_to(np.array(values, object), shape)
    bounded = given != np.array(None)
    return np.where(bounded, given, limit).astype(dtype), bounded.astype(bool)


def _multi_discrete(entry: dict[str, Any]) -> spaces.MultiDiscrete:
    """Return a space of several categories."""
    dtype = np.dtype(entry["dtype"])
    nvec, start = (np.broadcast_to(entry[name], _shape(entry)) for name in ("nvec", "start"))
    return spaces.MultiDiscrete(nvec.astype(dtype), dtype.type, start=start.astype(dtype))


def _multi_binary(entry: dict[str, Any]) -> spaces.MultiBinary:
    """Return a space of several bits."""
    shape = _shape(entry)
    return spaces.MultiBinary(shape[0] if len(shape) == 1 else list(shape))


def _discrete(entry: dict[str, Any]) -> spaces.Discrete:
    """Return a space of one category."""
    return spaces.Discrete(entry["n"], start=entry["start"], dtype=np.dtype(entry["dtype"]).type)


def _dict(entry: dict[str, Any]) -> spaces.Dict:
    """Return a nest of named spaces, in the order in which they were."""
    parts = entry["spaces"].items()
    return spaces.Dict({key: _restored(part) for key, part in parts}, sort_keys=False)


_BUILDERS: dict[str, Callable[[dict[str, Any]], gym.Space]] = {
    "Dict": _dict,
    "Tuple": lambda entry: spaces.Tuple([_restored(part) for part in entry["spaces"]]),
    "Box": _box,
    "Discrete": _discrete,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": _multi_binary,
    "Text": lambda _: spaces.Text(LONGEST_TEXT),
}
