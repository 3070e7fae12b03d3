"""The memory column of a picture: a counter, and below it a panel for each layer.

An agent that keeps no memories one by one has a panel of what matters to it instead.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import DIM, OTHER, RELEVANT, write
from rl_expire.retention.importance_panel import ImportancePanel
from rl_expire.retention.memory_panel import LayerPanel, TimeAxis
from rl_expire.retention.trace import Trace, is_flagged, kept_counts, relevant_steps

_LABELS = 44
"""Pixels left of the panels, for the numbers of their scales."""
_GAP = 12


class MemoryColumn:
    """Draws what one agent holds at any step of its episode.

    Args:
        trace: the episode.
        left: of the column, in pixels.
        right: of it.
        counter: the line that the counter is written on.
        top: of the panels.
        bottom: of them.
        panels: layers shown, at most.
        size: of the number of memories kept, in pixels.
        steps: that the time axis has room for; those of the episode if None.
        scale: steps of lifetime that the bars have room for; chosen layer by layer if None.
        kinds: whether to say above the counter how much is kept of what is needed and of the rest.
    """

    def __init__(
        self,
        trace: Trace,
        left: int,
        right: int,
        *,
        counter: int,
        top: int,
        bottom: int,
        panels: int,
        size: int,
        steps: int | None = None,
        scale: int | None = None,
        kinds: bool = False,
    ):
        self.trace, self.left, self.right = trace, left, right
        self.counter, self.size = counter, size
        self.kinds, self.relevant = kinds and is_flagged(trace), relevant_steps(trace)
        self.kept = kept_counts(trace)
        self.axis = TimeAxis(left + _LABELS, right, steps or len(trace.steps))
        layers = min(self.kept.shape[1], panels)
        height = (bottom - top - _GAP * (layers - 1)) // max(1, layers)
        self.panels: list[LayerPanel | ImportancePanel] = [
            LayerPanel(trace, n, self.axis, top + n * (height + _GAP), height, scale)
            for n in range(layers)
        ]
        self.counts = bool(self.panels)
        if trace.importance is not None:
            self.panels = [ImportancePanel(trace, trace.importance, self.axis, top, bottom - top)]

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw what does not move."""
        for panel in self.panels:
            panel.draw_ground(draw)
        if not self.counts:
            place = (self.left, self.counter)
            write(draw, place, "This agent keeps no memories one by one", 24, DIM)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the memories before action `t`; `t` = T is after the last action."""
        if self.counts:
            self._draw_counter(draw, min(t, len(self.trace.steps) - 1))
        for panel in self.panels:
            panel.draw(image, draw, t)

    def _draw_counter(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        layers, y, size = self.kept.shape[1], self.counter, self.size
        kept, seen = int(self.kept[now].sum()), (now + 1) * layers
        x = write(draw, (self.left, y), str(kept), size)
        x = write(draw, (x + 12, y), "kept of", 24, DIM)
        x = write(draw, (x + 10, y), str(seen), 36)
        write(draw, (x + 10, y), "seen" if layers == 1 else f"in {layers} layers", 24, DIM)
        nbytes = sum(layer.nbytes for layer in self.trace.steps[now].layers)
        write(draw, (self.right, y), f"{nbytes / 1000:,.0f} kB of memory", 18, DIM, "rs")
        if self.kinds:
            self._draw_kinds(draw, now)

    def _draw_kinds(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Say how many things seen are kept in some layer, of those needed later and the rest."""
        layers = self.trace.steps[now].layers
        kept = {int(step) for layer in layers for step in layer.written}
        needed = {int(step) for step in np.flatnonzero(self.relevant[: now + 1])}
        others = now + 1 - len(needed)
        ours = f"needed later: {len(kept & needed)} of {len(needed)} kept"
        rest = f"other things: {len(kept - needed)} of {others} kept"
        write(draw, (self.right, self.counter - 52), ours, 20, RELEVANT, "rs")
        write(draw, (self.right, self.counter - 27), rest, 20, OTHER, "rs")
