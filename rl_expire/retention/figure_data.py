"""The arrays behind the figures: what is held when, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rl_expire.memory.horizon import FOR_GOOD
from rl_expire.retention.trace import Trace, kept_counts

_BARS_PER_DECADE = 6


def held_map(trace: Trace, layer: int, every: int = 1) -> npt.NDArray[np.float32]:
    """Return `[R, R]`, the mask of memories (rows) at steps (columns), R = ceil(T / k).

    1 is fully held, values in between are fading, 0 is forgotten; NaN before the memory was
    written.

    Args:
        trace: The episode.
        layer: Index of the layer.
        every: k: every k-th step is a column; a row is the maximum over k memories.
    """
    held = _empty_map(trace, every)
    for column, step in enumerate(trace.steps[::every]):
        memories = step.layers[layer]
        np.maximum.at(held[:, column], memories.written // every, memories.mask)
    return held


def _empty_map(trace: Trace, every: int) -> npt.NDArray[np.float32]:
    """Return `[R, R]`: 0 on and above the diagonal, NaN below it."""
    rows = -(-len(trace.steps) // every)
    cells = np.full((rows, rows), np.nan, np.float32)
    cells[np.triu_indices(rows)] = 0
    return cells


def importance_map(trace: Trace, every: int = 1) -> npt.NDArray[np.float32]:
    """Return `[R, R]`, the importance of observations (rows) at steps (columns), R = ceil(T / k).

    Values lie in [0, 1]; NaN before the observation.

    Args:
        trace: The episode.
        every: k: every k-th step is a column; a row is the maximum over k observations.

    Raises:
        ValueError: The trace has no importance, since the agent has per-step memories.
    """
    if trace.importance is None:
        raise ValueError("trace has no importance: use held_map for an agent with memories")
    importance = _empty_map(trace, every)
    for column, now in enumerate(range(0, len(trace.steps), every)):
        rows = np.arange(now + 1) // every
        np.maximum.at(importance[:, column], rows, trace.importance.at(now))
    return importance


def lifetimes(
    traces: Sequence[Trace], layer: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the lifetime of each memory when it was written, at most `FOR_GOOD`.

    Args:
        traces: The episodes, pooled.
        layer: Index of the layer.

    Returns:
        Lifetimes `[K]` in steps, and `[K]` whether the observation is needed later; K is the number
        of recorded steps of all episodes.
    """
    spans, relevant = [], []
    for trace in traces:
        for t, step in enumerate(trace.steps):
            if step.recorded:
                memories = step.layers[layer]
                spans.append(memories.span[memories.written == t])
                relevant.append(bool(step.relevant))
    return np.minimum(np.concatenate(spans), FOR_GOOD), np.array(relevant, np.bool_)


def lifetime_edges(longest: float) -> npt.NDArray[np.float64]:
    """Return the bin edges from 1 step to beyond `longest`, evenly spaced on a log axis."""
    bars = max(1, int(np.floor(_BARS_PER_DECADE * np.log10(max(longest, 1)))) + 1)
    return 10 ** (np.arange(bars + 1) / _BARS_PER_DECADE)


def lifetime_counts(
    spans: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Count `spans [K]` between `edges [B + 1]`; the first bin includes all shorter ones."""
    counts, _ = np.histogram(np.maximum(spans, edges[0]), edges)
    return counts


def mean_kept(traces: Sequence[Trace]) -> npt.NDArray[np.float64]:
    """Return `[T]`, the number of memories in all layers at each step, T of the longest episode.

    Each entry is the mean over the episodes that reached that step.
    """
    kept = [kept_counts(trace).sum(1) for trace in traces]
    longest = max(len(counts) for counts in kept)
    means = [np.mean([counts[t] for counts in kept if t < len(counts)]) for t in range(longest)]
    return np.array(means, np.float64)
