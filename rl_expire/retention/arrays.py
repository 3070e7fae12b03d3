"""What traced episodes say of memory, as plain arrays: what is held when, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rl_expire.retention.trace import Trace, kept_counts

_BARS_A_DECADE = 6


def held_map(trace: Trace, layer: int, every: int = 1) -> npt.NDArray[np.float32]:
    """Return `[R, R]`, how fully memories (rows) are held at steps (columns), R = ceil(T / k).

    1 is fully, in between it is fading, 0 is forgotten; NaN before the memory was written.

    Args:
        trace: the episode.
        layer: whose memories.
        every: k: every k-th step is a column; the fullest of k memories is a row.
    """
    held = _map_of(trace, every)
    for column, step in enumerate(trace.steps[::every]):
        memories = step.layers[layer]
        np.maximum.at(held[:, column], memories.written // every, memories.mask)
    return held


def _map_of(trace: Trace, every: int) -> npt.NDArray[np.float32]:
    """Return `[R, R]`: 0 from the diagonal on, NaN below it."""
    rows = -(-len(trace.steps) // every)
    cells = np.full((rows, rows), np.nan, np.float32)
    cells[np.triu_indices(rows)] = 0
    return cells


def importance_map(trace: Trace, every: int = 1) -> npt.NDArray[np.float32]:
    """Return `[R, R]`, how much things seen (rows) mattered at steps (columns), R = ceil(T / k).

    Shares of 1; NaN before it was seen.

    Args:
        trace: the episode.
        every: k: every k-th step is a column; the most that one of k things mattered is a row.

    Raises:
        ValueError: the agent's importance was not measured, since it keeps memories.
    """
    if trace.importance is None:
        raise ValueError("this agent keeps memories one by one: they have a held_map instead")
    matters = _map_of(trace, every)
    for column, now in enumerate(range(0, len(trace.steps), every)):
        np.maximum.at(matters[:, column], np.arange(now + 1) // every, trace.importance.at(now))
    return matters


def lifetimes(
    traces: Sequence[Trace], layer: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the lifetime that each memory was given when it was written.

    Args:
        traces: the episodes, pooled.
        layer: whose memories.

    Returns:
        Lifetimes `[K]` in steps, and `[K]` whether the observation is needed later; K is the number
        of steps of all episodes that were noted in full.
    """
    given, relevant = [], []
    for trace in traces:
        for t, step in enumerate(trace.steps):
            if step.noted:
                memories = step.layers[layer]
                given.append(memories.span[memories.written == t])
                relevant.append(bool(step.relevant))
    return np.concatenate(given), np.array(relevant, np.bool_)


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
