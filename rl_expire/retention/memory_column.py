"""The memory column of a picture: a counter, and a panel for each layer below it.

For an agent without per-step memories there is one panel of importance instead.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import DIM, OTHER, RELEVANT, write
from rl_expire.retention.importance_panel import ImportancePanel
from rl_expire.retention.memory_panel import MemoryPanel
from rl_expire.retention.time_axis import TimeAxis
from rl_expire.retention.trace import Trace, is_flagged, kept_counts, relevant_steps

NO_MEMORIES = "This agent has no per-step memories"

_SCALE_WIDTH = 44
"""Pixels left of the panels, for the labels of their scales."""
_GAP = 12


class MemoryColumn:
    """A picture of what one agent holds at any step of its episode."""

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
        """Lay out the column of an episode.

        Args:
            trace: The episode.
            left: Left edge, in pixels.
            right: Right edge, in pixels.
            counter: Baseline of the counter, in pixels.
            top: Upper edge of the panels, in pixels.
            bottom: Lower edge of the panels, in pixels.
            panels: Maximum number of layers shown.
            size: Height of the number of memories kept, in pixels.
            steps: Length of the time axis; the length of the episode if None.
            scale: Lifetime at the top of the panels' scale, in steps; chosen by layer if None.
            kinds: Whether to count relevant and other observations separately, above the counter.
        """
        self.trace, self.left, self.right = trace, left, right
        self.counter, self.size = counter, size
        self.kinds, self.relevant = kinds and is_flagged(trace), relevant_steps(trace)
        self.kept = kept_counts(trace)
        self.axis = TimeAxis(left + _SCALE_WIDTH, right, steps or len(trace.steps))
        layers = min(self.kept.shape[1], panels)
        height = (bottom - top - _GAP * (layers - 1)) // max(1, layers)
        self.panels: list[MemoryPanel | ImportancePanel] = [
            MemoryPanel(trace, n, self.axis, top + n * (height + _GAP), height, scale)
            for n in range(layers)
        ]
        self.has_memories = bool(self.panels)
        if trace.importance is not None:
            self.panels = [ImportancePanel(trace, trace.importance, self.axis, top, bottom - top)]

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw what is the same at every step."""
        for panel in self.panels:
            panel.draw_ground(draw)
        if not self.has_memories:
            write(draw, (self.left, self.counter), NO_MEMORIES, 24, DIM)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the memories before action `t`; `t` = T is after the last action."""
        if self.has_memories:
            self._draw_counter(draw, min(t, len(self.trace.steps) - 1))
        for panel in self.panels:
            panel.draw(image, draw, t)

    def _draw_counter(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Write how many of the memories written so far are kept, and their size in bytes."""
        layers, y, size = self.kept.shape[1], self.counter, self.size
        kept, written = int(self.kept[now].sum()), (now + 1) * layers
        x = write(draw, (self.left, y), str(kept), size)
        x = write(draw, (x + 12, y), "of", 24, DIM)
        x = write(draw, (x + 10, y), str(written), 36)
        unit = "memories kept" if layers == 1 else f"kept in {layers} layers"
        write(draw, (x + 10, y), unit, 24, DIM)
        nbytes = sum(layer.nbytes for layer in self.trace.steps[now].layers)
        write(draw, (self.right, y), f"{nbytes / 1000:,.0f} kB of memory", 18, DIM, "rs")
        if self.kinds:
            self._draw_kinds(draw, now)

    def _draw_kinds(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Write how many observations of each kind are kept in some layer."""
        layers = self.trace.steps[now].layers
        kept = {int(step) for layer in layers for step in layer.written}
        needed = {int(step) for step in np.flatnonzero(self.relevant[: now + 1])}
        others = set(range(now + 1)) - needed
        kinds = (("needed later", needed, RELEVANT), ("other observations", others, OTHER))
        for n, (kind, steps, colour) in enumerate(kinds):
            count = f"{len(kept & steps)} of {len(steps)} kept" if steps else "none so far"
            place = (self.right, self.counter - 52 + 25 * n)
            write(draw, place, f"{kind}: {count}", 20, colour, "rs")
