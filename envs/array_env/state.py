"""The state of N environments as a dataclass of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import Rows, pick


@dataclass
class BatchState:
    """State of N environments; subclasses are dataclasses of arrays `[N, ...]`.

    The names of the fields are keys of `ArrayVectorEnv.state_dict`, hence part of checkpoints.
    """

    def select(self, rows: Rows) -> Self:
        """Return the state of some environments: itself for a slice, which means all, or copies."""
        if isinstance(rows, slice):
            return self
        return type(self)(*(pick(getattr(self, field.name), rows) for field in fields(self)))


@contextmanager
def replaced_arrays(arrays: dict[str, npt.NDArray[Any]], values: Any) -> Iterator[None]:
    """Write values into arrays in place; restore the arrays if the body finds them impossible.

    Args:
        arrays: The arrays to write into, by name.
        values: Arrays of the same names, shapes and types.

    Raises:
        ValueError: If the values do not fit, or the body fails.
    """
    check_arrays(values, arrays)
    before = {name: array.copy() for name, array in arrays.items()}
    for name, array in arrays.items():
        array[...] = values[name]
    try:
        yield
    except (ValueError, IndexError, OverflowError, ZeroDivisionError) as error:
        for name, array in arrays.items():
            array[...] = before[name]
        raise ValueError(f"the environments' state is impossible ({error})") from error


def check_arrays(value: Any, expected: dict[str, npt.NDArray[Any]]) -> None:
    """Check that `value` holds arrays of the same names, shapes and types as `expected`.

    Raises:
        ValueError: If it does not; the message names the first array that differs.
    """
    if not isinstance(value, dict) or value.keys() != expected.keys():
        raise ValueError("the environments' state is that of another environment")
    for name, array in expected.items():
        other = value[name]
        if not isinstance(other, np.ndarray) or other.dtype != array.dtype:
            raise ValueError(f"the environments' state: {name} is not an array of {array.dtype}")
        if other.shape != array.shape:
            raise ValueError(
                f"the environments' state: {name} has shape {other.shape}, not {array.shape}"
            )
