"""Check the values of options, and the shape of data read from a file before it is used."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

LARGEST_INTEGER = 2**53
"""Largest integer to accept from a file; floats hold all up to here exactly."""
MOST_STEPS = 2**62
"""Largest step count that a file may hold."""
INFINITIES = (math.inf, -math.inf)

C = TypeVar("C")


class OptionError(ValueError):
    """An option has an invalid value.

    The message names the field, as in `clip is -1.0: choose a number above 0`. A command line that
    knows which of its options sets the field can name that option instead.

    Args:
        config: the options object that the field belongs to.
        field: name of the field.
        problem: what is wrong with the value, and how to fix it.

    Attributes:
        config: type of the options object.
        field: name of the field.
        problem: what is wrong with the value, and how to fix it.
    """

    def __init__(self, config: object, field: str, problem: str):
        """Compose the message."""
        super().__init__(f"{field} {problem}")
        self.config, self.field, self.problem = type(config), field, problem


def check_range(
    config: object,
    *fields: str,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> None:
    """Check that numeric fields of `config` lie within bounds; a field that is None passes.

    Args:
        config: an options object.
        fields: names of the attributes to check.
        least: inclusive lower bound.
        above: exclusive lower bound.
        most: inclusive upper bound.
        below: exclusive upper bound.

    Raises:
        OptionError: a value is out of bounds or NaN.
    """
    for field in fields:
        value = getattr(config, field)
        if value is None:
            continue
        inside = (
            (least is None or value >= least)
            and (above is None or value > above)
            and (most is None or value <= most)
            and (below is None or value < below)
        )
        if not inside or value != value:
            remedy = _bounds(least, above, most, below)
            raise OptionError(config, field, f"is {value}: choose {remedy}")


def _bounds(
    least: float | None, above: float | None, most: float | None, below: float | None
) -> str:
    """Describe the bounds in words."""
    if below == math.inf:
        below = None
    if above is not None:
        upper = f" and at most {most}" if most is not None else ""
        upper = upper or (f" and below {below}" if below is not None else "")
        return f"a number above {above}{upper}"
    if most is not None:
        return f"a number from {least} to {most}" if least is not None else f"{most} or less"
    if below is not None:
        return f"a number from {least}, below {below}"
    return f"{least} or more"


def check_fit(value: Any, expected: Any, name: str) -> None:
    """Check that a tree of tensors or arrays matches another one.

    Args:
        value: nested dicts, lists, tensors and NumPy arrays.
        expected: tree whose keys, lengths, shapes and dtypes `value` must have.
        name: what to call `value` in an error message.

    Raises:
        ValueError: `value` does not match, or holds NaN or infinity; the message says where.
    """
    if isinstance(expected, Mapping):
        check_keys(value, expected, name)
        for key in expected:
            check_fit(value[key], expected[key], f"{name}/{key}")
    elif isinstance(expected, list):
        if not isinstance(value, list) or len(value) != len(expected):
            raise ValueError(f"{name} is not a list of length {len(expected)}")
        for n, (item, expected_item) in enumerate(zip(value, expected, strict=True)):
            check_fit(item, expected_item, f"{name}/{n}")
    else:
        check_layout(value, expected, name)
        check_finite(value, name)


def check_keys(value: Any, keys: Mapping[str, Any] | Sequence[str], name: str) -> None:
    """Check that `value` is a dict with exactly these keys.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{name} is missing or is not a dict")
    missing, unknown = set(keys) - set(value), set(value) - set(keys)
    if missing:
        raise ValueError(f"{name} lacks {_listed(missing)}")
    if unknown:
        raise ValueError(f"{name} has unknown keys: {_listed(unknown)}")


def check_layout(value: Any, expected: Tensor | np.ndarray, name: str) -> None:
    """Check that `value` is a tensor or array of the same type, shape and dtype as `expected`.

    Raises:
        ValueError: it is not.
    """
    kind = Tensor if isinstance(expected, Tensor) else np.ndarray
    if not isinstance(value, kind):
        raise ValueError(f"{name} is not a {kind.__name__}")
    if tuple(value.shape) != tuple(expected.shape):
        raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(expected.shape)}")
    if value.dtype != expected.dtype:
        raise ValueError(f"{name} is {value.dtype}, not {expected.dtype}")


def check_finite(value: Tensor | np.ndarray, name: str) -> None:
    """Check that `value` holds no NaN and no infinity.

    Raises:
        ValueError: it does.
    """
    if not bool(torch.isfinite(torch.as_tensor(value)).all()):
        raise ValueError(f"{name} holds numbers that are not finite")


def check_number(
    value: Any, kind: type[int] | type[float], least: float, most: float, name: str
) -> Any:
    """Return `value` if it is of type `kind` and lies in [least, most].

    Raises:
        ValueError: it is not.
    """
    if type(value) is not kind or not least <= value <= most:
        raise ValueError(
            f"{name} is {str(value)[:40]!r}, not a number of type {kind.__name__} "
            f"from {least} to {most}"
        )
    return value


def options_from_json(config: type[C], values: Any, name: str) -> C:
    """Return a dataclass of options with values read from a JSON file.

    Args:
        config: the class of the options. Missing values keep their defaults.
        values: the content of a JSON object.
        name: what to call `values` in an error message.

    Raises:
        ValueError: a name is unknown, a value has another type than its field, or a number is not
            finite or not below 2^53; or the class rejects the values.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{name} is not a JSON object")
    kinds = get_type_hints(config, include_extras=True)
    known = {field: kinds[field] for field in getattr(config, "__dataclass_fields__", {})}
    if unknown := set(values) - set(known):
        raise ValueError(f"{name} has unknown keys: {_listed(unknown)}")
    fields = {}
    for field, value in values.items():
        try:
            fields[field] = _of_kind(known[field], value)
        except TypeError:
            raise ValueError(
                f"{name}/{field} is {str(value)[:40]!r}, which is not a value of this option"
            ) from None
    return config(**fields)


def _of_kind(kind: Any, value: Any) -> Any:
    """Return a JSON value as an object of the annotated type `kind`.

    Raises:
        TypeError: it is of another type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _of_kind(arguments[0], value)
    if origin in (Union, types.UnionType):
        for choice in arguments:
            try:
                return _of_kind(choice, value)
            except TypeError:
                continue
    elif origin is tuple and isinstance(value, list):
        return tuple(_of_kind(arguments[0], item) for item in value)
    elif origin is Literal and isinstance(value, str) and value in arguments:
        return value
    elif type(value) is int and kind in (int, float) and abs(value) <= LARGEST_INTEGER:
        return kind(value)
    elif type(value) is kind and kind is not int and value == value and value not in INFINITIES:
        return value
    raise TypeError


def _listed(names: set[str]) -> str:
    """Return up to three of `names`, separated by commas, and how many more there are."""
    some = sorted(str(n)[:60] for n in names)
    return ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
