"""What traced episodes say of memory, as plain arrays: what is held when, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rl_expire.retention import Trace, kept_counts, relevant_steps

_BARS_A_DECADE = 6


def held_map(trace: Trace, layer: int) -> npt.NDArray[np.float32]:
    """Return `[T, T]`, how fully each memory (row) is held at each step (column).

    1 is fully, in between it is fading, 0 is forgotten; NaN before the memory was written.
    """
    length = len(trace.steps)
    held = np.full((length, length), np.nan, np.float32)
    held[np.triu_indices(length)] = 0
    for now, step in enumerate(trace.steps):
        memories = step.layers[layer]
        held[memories.written, now] = memories.mask
    return held


def lifetimes(
    traces: Sequence[Trace], layer: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the lifetime that each memory was given when it was written.

    Args:
        traces: the episodes, pooled.
        layer: whose memories.

    Returns:
        Lifetimes `[K]` in steps, and `[K]` whether the observation is needed later; K is the number
        of steps of all episodes.
    """
    given = []
    for trace in traces:
        for t, step in enumerate(trace.steps):
            memories = step.layers[layer]
            given.append(memories.span[memories.written == t])
    relevant = [relevant_steps(trace) for trace in traces]
    return np.concatenate(given), np.concatenate(relevant)


def lifetime_edges(longest: float) -> npt.NDArray[np.float64]:
    """Return the edges of bars, evenly spaced on a logarithmic axis, from 1 step to `longest`."""
    bars = max(1, int(np.floor(_BARS_A_DECADE * np.log10(max(longest, 1)))) + 1)
    return 10 ** (np.arange(bars + 1) / _BARS_A_DECADE)


def lifetime_counts(
    spans: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return how many of `spans [K]` fall between `edges [B + 1]`; the first bar has all below."""
    counts, _ = np.histogram(np.maximum(spans, edges[0]), edges)
    return counts


def mean_kept(traces: Sequence[Trace]) -> npt.NDArray[np.float64]:
    """Return `[T]`, how many memories all layers kept at each step, T of the longest episode.

    At each step it is the mean over the episodes that got so far.
    """
    kept = [kept_counts(trace).sum(1) for trace in traces]
    longest = max(len(counts) for counts in kept)
    means = [np.mean([counts[t] for counts in kept if t < len(counts)]) for t in range(longest)]
    return np.array(means, np.float64)
