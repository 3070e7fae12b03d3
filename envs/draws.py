"""Counter-based random numbers: every draw is a function of a key and an index.

A generator with hidden state would have to be advanced environment by environment. Here a draw is
the hash of a key and an index, so that N environments draw with a few array operations, a cell of a
world can be computed when it is needed instead of being stored, and environment i of a batch draws
exactly what it would draw alone. The hash is the splitmix64 sequence (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

UIntArray: TypeAlias = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_27, _SHIFT_30, _SHIFT_31 = np.uint64(27), np.uint64(30), np.uint64(31)
_SHIFT_32, _SHIFT_11 = np.uint64(32), np.uint64(11)
_LARGEST_RANGE = 2**32


def _mix(z: UIntArray) -> UIntArray:
    """Scramble 64 bits in place; callers pass a new array."""
    z ^= z >> _SHIFT_30
    z *= _MULTIPLY_1
    z ^= z >> _SHIFT_27
    z *= _MULTIPLY_2
    z ^= z >> _SHIFT_31
    return z


def draw(key: UIntArray, index: int | npt.NDArray[Any]) -> UIntArray:
    """Draw 64 random bits for each key.

    Args:
        key: Keys, uint64 `[N]`.
        index: Index of the draw, an integer or an array that broadcasts against `key`. The same key
            and index always give the same bits.

    Returns:
        Random bits, uint64, of the broadcast shape.
    """
    # At least one dimension, because NumPy warns of overflow in scalars but not in arrays.
    return _mix(np.atleast_1d(key + _GOLDEN * np.atleast_1d(index).astype(np.uint64)))


def episode_keys(seed: UIntArray, episode: npt.NDArray[Any]) -> UIntArray:
    """Derive the keys of episodes, from which everything random in them is drawn.

    Args:
        seed: Seed of each environment, uint64 `[N]`; neighbouring seeds give unrelated keys.
        episode: Number of episodes that each environment has begun since it was seeded `[N]`.

    Returns:
        Keys, uint64 `[N]`.
    """
    return draw(draw(seed, 1), episode)


def integers(
    key: UIntArray, index: int | npt.NDArray[Any], low: int, high: int
) -> npt.NDArray[np.int64]:
    """Draw integers uniformly.

    Args:
        key: Keys, uint64 `[N]`.
        index: Index of the draw (see `draw`).
        low: Smallest value.
        high: Largest value, inclusive.

    Returns:
        Integers in `[low, high]`, int64, of the broadcast shape. The bias against any value is
        below `(high - low + 1) / 2**32`.

    Raises:
        ValueError: If the range is empty or holds more than 2**32 values.
    """
    count = high - low + 1
    if not 1 <= count <= _LARGEST_RANGE:
        raise ValueError(f"integers: low={low}, high={high} must span 1 to 2**32 values")
    return below(draw(key, index), np.uint64(count)) + low


def below(bits: UIntArray, count: np.uint64 | UIntArray) -> npt.NDArray[np.int64]:
    """Turn the upper 32 of random bits into uniform integers.

    Args:
        bits: Output of `draw`, any shape.
        count: Number of values, at most 2**32; broadcasts against `bits`.

    Returns:
        Integers in `[0, count)`, int64, of the broadcast shape.
    """
    return ((bits >> _SHIFT_32) * count >> _SHIFT_32).astype(np.int64)


def permutations(bits: UIntArray) -> npt.NDArray[np.int64]:
    """Turn random bits `[N, K]` into permutations of 0 to K - 1, int64 `[N, K]`."""
    return bits.argsort(axis=1, kind="stable")  # the fastest kind for short rows


def chance(bits: UIntArray, probability: float) -> npt.NDArray[np.bool_]:
    """Turn random bits into events of a given probability.

    Args:
        bits: Output of `draw`, any shape. Only the upper 53 bits are used; the lower 11 are
            independent of the event.
        probability: Probability of True, in `[0, 1]`.

    Returns:
        Events, bool, of the shape of `bits`.
    """
    return (bits >> _SHIFT_11) < np.uint64(round(probability * 2**53))
