"""Array types of the vector environments, and helpers that pick and spread rows."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

BoolArray: TypeAlias = npt.NDArray[np.bool_]
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Frame: TypeAlias = npt.NDArray[np.uint8]
Observation: TypeAlias = npt.NDArray[Any]
Rows: TypeAlias = IntArray | slice
"""The environments that a hook works on: their indices, or `ALL`, which avoids a copy."""

ALL = slice(None)


def pick(values: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Pick rows of an array `[N, ...]`: a view for a slice, a copy for indices.

    NumPy's own `values[rows]` is several times slower when a row has more than one value.
    """
    return values[rows] if isinstance(rows, slice) else values.take(rows, axis=0)


def spread_rows(values: npt.NDArray[Any], rows: IntArray, count: int) -> npt.NDArray[Any]:
    """Write the values of some rows into a new array that is zero elsewhere.

    Args:
        values: One value per row `[M, ...]`.
        rows: Indices of these rows `[M]`.
        count: Rows of the result, N.

    Returns:
        A new array `[N, ...]` of the same type.
    """
    spread = np.zeros((count, *values.shape[1:]), values.dtype)
    spread[rows] = values
    return spread


def spread_info(
    info: dict[str, npt.NDArray[Any]], rows: IntArray, count: int
) -> dict[str, npt.NDArray[Any]]:
    """Spread the info of some rows over arrays of N rows, with Gymnasium's `_key` masks.

    Args:
        info: Arrays `[M, ...]` by key.
        rows: Indices of these rows `[M]`.
        count: Rows of the result, N.

    Returns:
        Arrays `[N, ...]` by key, and a mask `[N]` of the valid rows for each key.
    """
    valid = np.zeros(count, np.bool_)
    valid[rows] = True
    spread: dict[str, npt.NDArray[Any]] = {}
    for key, values in info.items():
        spread[key] = spread_rows(values, rows, count)
        spread[f"_{key}"] = valid
    return spread
