"""Was the right thing kept? What is held when it is needed, against what the environment marks."""

from __future__ import annotations

import numpy as np

from rl_expire.types import LayerView


class Recall:
    """Compares, wherever something is decided, the memories held with the observations marked.

    Recall is the share of the episode's marked observations that are held; precision is the share
    of what is held, and older than the ramp, that was marked. Nothing is held for less than the
    ramp, whatever its lifetime, so what is younger says nothing. The observation that comes with
    the decision needs no memory and does not count.

    Args:
        rows: environments, B.
    """

    def __init__(self, rows: int):
        self._marks = np.zeros((rows, 64), bool)
        self._count = np.zeros(rows, np.int64)
        self._time = np.full(rows, -1)
        self._marked = 0
        self._hits = np.zeros(0)
        self._old = np.zeros(0)
        self._old_hits = np.zeros(0)

    def add(
        self, views: list[LayerView], is_first: np.ndarray, marked: np.ndarray, decides: np.ndarray
    ) -> None:
        """Take in one step of the batch.

        Args:
            views: the memory as it was at this step, a view a layer.
            is_first: `[B]` bool, where an episode begins.
            marked: `[B]` bool, whose observation is marked.
            decides: `[B]` bool, where something is decided that counts.
        """
        self._marks[is_first], self._count[is_first] = False, 0
        self._time = np.where(is_first, 0, self._time + 1)
        if self._time.max() >= self._marks.shape[1]:
            self._marks = np.concatenate([self._marks, np.zeros_like(self._marks)], axis=1)
        if views and not self._hits.size:
            self._hits, self._old, self._old_hits = np.zeros((3, len(views) + 1))
        rows = np.flatnonzero(decides)
        if rows.size and views:
            self._measure(views, rows)
        self._marks[np.arange(len(marked)), self._time] = marked
        self._count += marked

    def _measure(self, views: list[LayerView], rows: np.ndarray) -> None:
        marks, steps = self._marks.ravel(), self._marks.shape[1]
        layers = [_places(view, rows, self._time[rows], steps) for view in views]
        for n, place in enumerate([*layers, np.unique(np.concatenate(layers))]):
            row, step = np.divmod(place, steps)
            old = self._time[row] - step > views[0].ramp
            self._hits[n] += marks[place].sum()
            self._old[n] += old.sum()
            self._old_hits[n] += (old & marks[place]).sum()
        self._marked += int(self._count[rows].sum())

    @property
    def recall(self) -> list[float]:
        """Of each layer, and last of all together; NaN without marks, empty without memory."""
        return [float(hits / self._marked) if self._marked else np.nan for hits in self._hits]

    @property
    def precision(self) -> list[float]:
        """Of each layer, and last of all together; NaN where nothing old was held."""
        pairs = zip(self._old_hits, self._old, strict=True)
        return [float(hits / old) if old else np.nan for hits, old in pairs]


def _places(view: LayerView, rows: np.ndarray, now: np.ndarray, steps: int) -> np.ndarray:
    """Return where in `[B, steps]`, flattened, lies what `rows [K]` hold from before `now [K]`."""
    step = now[:, None] - view.age[rows].cpu().numpy()
    held = view.held[rows].cpu().numpy() & (step >= 0) & (step < now[:, None])
    return (rows[:, None] * steps + step)[held]
