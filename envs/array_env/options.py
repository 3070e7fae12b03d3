"""Options of an environment: a frozen dataclass that validates itself.

Every message begins with `name=value`, so that a command line can put its own name of the option
in place of `name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeVar

import numpy as np

Options = TypeVar("Options")


def build_options(options_type: type[Options], values: Mapping[str, Any]) -> Options:
    """Make options from keyword arguments.

    Args:
        options_type: A dataclass.
        values: Values of its fields by name; the others keep their defaults.

    Raises:
        TypeError: If there is no option of that name; the message lists the known ones.
        ValueError: If a value is impossible.
    """
    known = signature(options_type).parameters
    for name in values:
        if name not in known:
            raise TypeError(f"{name} is not an option (choose from {', '.join(known)})")
    return options_type(**values)


def check_integers(options: Any, *names: str) -> None:
    """Check that these options are integers.

    Raises:
        ValueError: If one is not.
    """
    for name in names:
        value = getattr(options, name)
        if not isinstance(value, (int, np.integer)):
            raise ValueError(f"{name}={value!r} is not an integer: give a whole number")


def check_range(options: Any, name: str, least: int, most: int | None = None) -> None:
    """Check that an option is between `least` and `most`, both included.

    Raises:
        ValueError: If it is not.
    """
    value = getattr(options, name)
    if value < least or (most is not None and value > most):
        remedy = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name}={value} is impossible: give {remedy}")
