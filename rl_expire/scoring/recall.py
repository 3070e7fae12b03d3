"""Recall and precision of memory: is what the environment marks held when it is needed?"""

from __future__ import annotations

import numpy as np

from rl_expire.types import LayerView


class RecallMeter:
    """Compare the memories held at decisions with the observations that were marked.

    Recall is the share of the episode's marked observations that are held. Precision is the share
    of the held memories that are marked. The observation at the decision itself does not count, as
    it needs no memory; every earlier one does, so that agents that fade their memories over
    different numbers of steps are compared by the same measure.

    Args:
        rows: number of environments, B.
    """

    def __init__(self, rows: int):
        """Start with no episodes."""
        self._marks = np.zeros((rows, 64), bool)
        self._count = np.zeros(rows, np.int64)
        self._time = np.full(rows, -1)
        self._marked = 0
        self._hits = np.zeros(0)
        self._held = np.zeros(0)

    def add(
        self, views: list[LayerView], is_first: np.ndarray, marked: np.ndarray, decides: np.ndarray
    ) -> None:
        """Add one step of the batch.

        Args:
            views: the agent's memory at this step, one view per layer.
            is_first: `[B]` bool, environments whose episode begins.
            marked: `[B]` bool, environments whose observation is marked.
            decides: `[B]` bool, environments with a decision at this step, that are to be counted.
        """
        self._marks[is_first], self._count[is_first] = False, 0
        self._time = np.where(is_first, 0, self._time + 1)
        if self._time.max() >= self._marks.shape[1]:
            self._marks = np.concatenate([self._marks, np.zeros_like(self._marks)], axis=1)
        if views and not self._hits.size:
            self._hits, self._held = np.zeros((2, len(views) + 1))
        rows = np.flatnonzero(decides)
        if rows.size and views:
            self._measure(views, rows)
        self._marks[np.arange(len(marked)), self._time] = marked
        self._count += marked

    def _measure(self, views: list[LayerView], rows: np.ndarray) -> None:
        """Count hits at the decisions of the environments `rows [K]`."""
        marks, steps = self._marks.ravel(), self._marks.shape[1]
        layers = [_held_indices(view, rows, self._time[rows], steps) for view in views]
        for n, index in enumerate([*layers, np.unique(np.concatenate(layers))]):
            self._hits[n] += marks[index].sum()
            self._held[n] += len(index)
        self._marked += int(self._count[rows].sum())

    @property
    def recall(self) -> list[float]:
        """Recall of each layer, and of all layers together; NaN if nothing was marked.

        Empty for an agent without memories to view.
        """
        return [float(hits / self._marked) if self._marked else np.nan for hits in self._hits]

    @property
    def precision(self) -> list[float]:
        """Precision of each layer, and of all layers together; NaN if nothing was held.

        Empty for an agent without memories to view.
        """
        pairs = zip(self._hits, self._held, strict=True)
        return [float(hits / held) if held else np.nan for hits, held in pairs]


def _held_indices(view: LayerView, rows: np.ndarray, now: np.ndarray, steps: int) -> np.ndarray:
    """Return the indices into a flattened `[B, steps]` array of the memories that are held.

    Args:
        view: one layer's memory.
        rows: `[K]` int, environments to look at.
        now: `[K]` int, the current step of each; only memories of earlier steps are returned.
        steps: size of the second dimension.
    """
    step = now[:, None] - view.age[rows].cpu().numpy()
    held = view.held[rows].cpu().numpy() & (step >= 0) & (step < now[:, None])
    return (rows[:, None] * steps + step)[held]
