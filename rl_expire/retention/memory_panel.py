"""The panel of one layer: a bar for each memory, as high as its remaining lifetime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
    DECISION,
    DIM,
    FORGOTTEN,
    FUTURE,
    OTHER,
    RELEVANT,
    TEXT,
    blend,
    disc,
    pill,
    ring,
    round_up,
    stamp,
    write,
)
from rl_expire.retention.thumbnails import MAX_THUMBNAILS, Thumbnails
from rl_expire.retention.time_axis import TimeAxis
from rl_expire.retention.trace import HeldMemories, Trace, relevant_steps

DECISION_LABEL = "decision"

_MIN_RING = 0.1
"""Attention above which a memory gets a ring."""


class MemoryPanel:
    """A picture of one layer's memories over the time of the episode."""

    def __init__(
        self,
        trace: Trace,
        layer: int,
        axis: TimeAxis,
        top: int,
        height: int,
        scale: int | None = None,
    ):
        """Lay out the panel of a layer.

        Args:
            trace: The episode.
            layer: Index of the layer.
            axis: Time axis.
            top: Upper edge, in pixels.
            height: Height, in pixels.
            scale: Lifetime at the top of the scale, in steps; chosen from the memories if None.
        """
        self.trace, self.layer, self.axis, self.top = trace, layer, axis, top
        self.bottom = top + height
        side = 76 if height > 300 else 48 if height > 150 else 0
        self.thumbnails = Thumbnails(trace, axis, top, side) if side else None
        self.baseline = self.bottom - 34
        self.highest = top + (side + 56 if side else 30)
        self.relevant = relevant_steps(trace)
        held = [step.layers[layer] for step in trace.steps]
        self.full = scale or lifetime_scale(held, len(held))
        self.for_good = any_for_good(held)
        self.shown = longest_lived(held)

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the panel, its scale and its labels."""
        axis = self.axis
        draw.rectangle((axis.left, self.top, axis.right, self.bottom), fill=FUTURE)
        marks = 4 if self.baseline - self.highest > 120 else 2
        for n in range(marks + 1):
            y = round(self.baseline - n / marks * (self.baseline - self.highest))
            more = "+" if n == marks and self.for_good else ""
            axis.draw_gridline(draw, y, f"{self.full * n / marks:g}{more}")
        axis.draw_ticks(draw, self.bottom - 4)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the memories before action `t`; `t` = T is after the last action."""
        now = min(t, len(self.trace.steps) - 1)
        memories = self.trace.steps[now].layers[self.layer]
        is_decision = t == now and bool(self.trace.steps[now].decision)
        self._draw_past(draw, now)
        self._draw_now(draw, now, is_decision)
        if self.thumbnails is not None:
            remaining = _by_step(memories, memories.remaining)
            marks = {step: self._height(remaining[step]) for step in self.shown[now]}
            self.thumbnails.draw(image, draw, marks)
        self._draw_bars(image, draw, memories)
        self._draw_title(draw, memories, now, is_decision)

    def _draw_past(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Draw a tick for every observation so far, kept or not."""
        axis, y = self.axis, self.baseline + 3
        width = max(1, round(axis.pitch) - 1)
        for step in range(now + 1):
            x = round(axis.x(step) - width / 2)
            colour = blend(FUTURE, RELEVANT, 0.6) if self.relevant[step] else FORGOTTEN
            draw.rectangle((x, y, x + width - 1, y + 6), fill=blend(FUTURE, colour, 0.8))

    def _draw_now(self, draw: ImageDraw.ImageDraw, now: int, is_decision: bool) -> None:
        """Draw a vertical line at the current step."""
        x = round(self.axis.x(now))
        colour = DECISION if is_decision else DIM
        draw.line((x, self.highest - 6, x, self.baseline + 12), fill=colour, width=2)

    def _draw_bars(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, memories: HeldMemories
    ) -> None:
        """Draw a bar for each memory, and a ring around those that receive attention."""
        width = max(2, min(14, round(self.axis.pitch) - 1))
        attention = memories.attention.max(0)
        for k in range(len(memories)):
            step = int(memories.written[k])
            x, y = self.axis.x(step), self._height(float(memories.remaining[k]))
            colour = RELEVANT if self.relevant[step] else OTHER
            shade = blend(FUTURE, colour, 0.3 + 0.7 * float(memories.mask[k]))
            wide = max(width, 5) if self.relevant[step] else width
            left = round(x - wide / 2)
            draw.rectangle((left, y, left + wide - 1, self.baseline + 9), fill=shade)
            if self.relevant[step]:
                stamp(image, disc(6), x, y, shade)
        for k in np.flatnonzero(attention > _MIN_RING):
            x = self.axis.x(int(memories.written[k]))
            y = self._height(float(memories.remaining[k]))
            share = float(attention[k])
            stamp(image, ring(round(5 + 7 * share), 2, round(90 + 165 * share)), x, y, TEXT)

    def _draw_title(
        self, draw: ImageDraw.ImageDraw, memories: HeldMemories, now: int, is_decision: bool
    ) -> None:
        """Write what the bars are, and mark a decision."""
        text = "remaining lifetime of each memory (steps)"
        if len(self.trace.steps[now].layers) > 1:
            text = f"layer {self.layer + 1}: {len(memories)} kept"
        end = write(draw, (self.axis.left + 8, self.top + 19), text, 16, DIM)
        if is_decision:
            x = max(end + 68, min(self.axis.x(now), self.axis.right - 60))
            pill(draw, (x, self.top + 14), DECISION_LABEL, DECISION, anchor="m")

    def _height(self, remaining: float) -> int:
        """Return y of a bar's top; a fading memory keeps a stub, one kept for good is full."""
        share = min(1.0, max(0.0, remaining) / self.full)
        return round(self.baseline - 3 - share * (self.baseline - 3 - self.highest))


def any_for_good(held: Sequence[HeldMemories]) -> bool:
    """Return whether a memory is kept for good."""
    return any(np.isinf(memories.remaining).any() for memories in held)


def lifetime_scale(held: Sequence[HeldMemories], steps: int) -> int:
    """Return a round number of steps that is at least the longest remaining lifetime that ends.

    If some never end, it is also at least the length of the episode, which they outlive.

    Args:
        held: The memories of a layer at each step, or of several layers or episodes.
        steps: Length of the longest episode.
    """
    remaining = (memories.remaining for memories in held)
    longest = max(float(r[np.isfinite(r)].max(initial=0.0)) for r in remaining)
    return round_up(max(longest, steps) if any_for_good(held) else longest)


def longest_lived(held: list[HeldMemories]) -> list[list[int]]:
    """Choose the memories to show as thumbnails at each step, with few changes between steps.

    A memory stays until it is forgotten, or until a later one has a lifetime half as long again.

    Args:
        held: The layer's memories at each of T steps.

    Returns:
        T lists of the steps the memories were written at, earliest first.
    """
    shown: list[int] = []
    history = []
    for memories in held:
        spans = _by_step(memories, memories.span)
        shown = [step for step in shown if step in spans]
        rest = sorted((s for s in spans if s not in shown), key=lambda s: -spans[s])
        for step in rest[:MAX_THUMBNAILS]:
            if len(shown) < MAX_THUMBNAILS:
                shown.append(step)
                continue
            shortest = min(shown, key=lambda s: spans[s])
            if spans[step] > 1.5 * spans[shortest]:
                shown[shown.index(shortest)] = step
        history.append(sorted(shown))
    return history


def _by_step(memories: HeldMemories, values: np.ndarray) -> dict[int, float]:
    """Return `values [K]` by the step their memory was written at."""
    return dict(zip(memories.written.tolist(), values.tolist(), strict=True))
