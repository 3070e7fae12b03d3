"""Check options, and check what was read from a file before any of it is put in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class OptionError(ValueError):
    """An option has an impossible value.

    The message names the field, such as `clip is -1.0: choose a number above 0`; a command line
    that knows which of its options the field is can name that instead.

    Attributes:
        config: type of the options it belongs to.
        field: its name.
        problem: what is wrong with it, and what to do.
    """

    def __init__(self, config: object, field: str, problem: str):
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
    """Check that numbers of `config` are within bounds; None is not checked.

    Args:
        config: options, an object with attributes.
        fields: names of the attributes to check.
        least: lower bound, included.
        above: lower bound, not included.
        most: upper bound, included.
        below: upper bound, not included.

    Raises:
        OptionError: a number is outside, or NaN.
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
    """Return the bounds in words."""
    if above is not None:
        upper = f" and at most {most}" if most is not None else ""
        return f"a number above {above}{upper or (f' and below {below}' if below else '')}"
    if most is not None:
        return f"a number from {least} to {most}" if least is not None else f"{most} or less"
    if below is not None:
        return f"a number from {least}, below {below}"
    return f"{least} or more"


def check_fit(found: Any, like: Any, name: str) -> None:
    """Refuse a tree of tensors or arrays that is not just like another one.

    Args:
        found: dicts, lists, tensors and NumPy arrays, nested.
        like: what it must be like: the same keys, lengths, shapes and types.
        name: what to call it.

    Raises:
        ValueError: it is not, or it holds NaN or infinities; the message says where.
    """
    if isinstance(like, Mapping):
        check_keys(found, like, name)
        for key in like:
            check_fit(found[key], like[key], f"{name}/{key}")
    elif isinstance(like, list):
        if not isinstance(found, list) or len(found) != len(like):
            raise ValueError(f"{name} is not a list of {len(like)}")
        for n, (one, other) in enumerate(zip(found, like, strict=True)):
            check_fit(one, other, f"{name}/{n}")
    else:
        check_layout(found, like, name)
        check_finite(found, name)


def check_keys(found: Any, keys: Mapping[str, Any] | Sequence[str], name: str) -> None:
    """Refuse anything but a dict with just these keys."""
    if not isinstance(found, dict):
        raise ValueError(f"{name} is missing, or is no dict")
    for what, odd in (("lacks", set(keys) - set(found)), ("has", set(found) - set(keys))):
        if odd:
            raise ValueError(f"{name} {what} {_listed(odd)}" + (", unknown here" * (what == "has")))


def check_layout(found: Any, like: Tensor | np.ndarray, name: str) -> None:
    """Refuse another kind, shape or type."""
    kind = Tensor if isinstance(like, Tensor) else np.ndarray
    if not isinstance(found, kind):
        raise ValueError(f"{name} is no {kind.__name__.lower()}")
    if tuple(found.shape) != tuple(like.shape):
        raise ValueError(f"{name} has shape {_shape(found)}, not {_shape(like)}")
    if found.dtype != like.dtype:
        raise ValueError(f"{name} is {found.dtype}, not {like.dtype}")


def check_finite(found: Tensor | np.ndarray, name: str) -> None:
    """Refuse NaN and infinities."""
    if not bool(torch.isfinite(torch.as_tensor(found)).all()):
        raise ValueError(f"{name} holds numbers that are not finite")


def number(found: Any, kind: type[int] | type[float], least: float, most: float, name: str) -> Any:
    """Return `found` if it is a number of that kind from `least` to `most`.

    Raises:
        ValueError: it is not.
    """
    if type(found) is not kind or not least <= found <= most:
        raise ValueError(f"{name} is {str(found)[:40]!r}, not {kind.__name__} {least} to {most}")
    return found


def _shape(value: Tensor | np.ndarray) -> tuple[int, ...]:
    return tuple(value.shape)


def _listed(names: set[str]) -> str:
    some = sorted(str(n)[:60] for n in names)
    return ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
