"""The memory side of the picture: a panel for each layer and the curve of how many are kept."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
    DECIDES,
    DIM,
    FORGOTTEN,
    FUTURE,
    OTHER,
    PANEL,
    RELEVANT,
    RULE,
    TEXT,
    Colour,
    blend,
    disc,
    fit_text,
    pill,
    ring,
    round_up,
    stamp,
    surroundings,
    write,
)
from rl_expire.retention.trace import HeldMemories, Trace, relevant_steps

THUMBNAILS = 4
"""Memories of a layer that are shown as pictures, or as the sentences they were written from."""


class TimeAxis:
    """Where the steps of an episode lie between two sides of a panel."""

    def __init__(self, left: int, right: int, steps: int):
        self.left, self.right, self.steps = left, right, steps
        self.pitch = (right - left - 24) / max(1, steps)

    def x(self, step: float) -> float:
        """Return the middle of a step, in pixels."""
        return self.left + 12 + (step + 0.5) * self.pitch

    def ticks(self) -> list[int]:
        """Return some round steps to label."""
        apart = round_up(self.steps / 6)
        return list(range(0, self.steps, apart))


class LayerPanel:
    """One layer's memories over the episode's time; `scale` is the height of the bars in steps."""

    def __init__(
        self,
        trace: Trace,
        layer: int,
        axis: TimeAxis,
        top: int,
        height: int,
        scale: int | None = None,
    ):
        self.trace, self.layer, self.axis, self.top = trace, layer, axis, top
        self.bottom = top + height
        self.side = 76 if height > 300 else 48 if height > 150 else 0
        self.baseline = self.bottom - 34
        self.highest = top + (self.side + 56 if self.side else 30)
        self.relevant = relevant_steps(trace)
        held = [step.layers[layer] for step in trace.steps]
        self.full = scale or scale_of(held)
        self.chosen = longest_lived(held)
        self.pictures: dict[int, Image.Image] = {}

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the panel, its scale and its labels."""
        axis = self.axis
        draw.rectangle((axis.left, self.top, axis.right, self.bottom), fill=FUTURE)
        marks = 4 if self.baseline - self.highest > 120 else 2
        for n in range(marks + 1):
            y = round(self.baseline - n / marks * (self.baseline - self.highest))
            draw.line((axis.left, y, axis.right, y), fill=RULE)
            write(draw, (axis.left - 8, y + 5), f"{self.full * n / marks:g}", 15, DIM, "rs")
        for step in axis.ticks():
            write(draw, (axis.x(step), self.bottom - 4), str(step), 15, DIM, "ms")

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the memories before action `t`; `t` = T is after the last action."""
        now = min(t, len(self.trace.steps) - 1)
        memories = self.trace.steps[now].layers[self.layer]
        decides = t == now and bool(self.trace.steps[now].decision)
        self._draw_past(draw, now)
        self._draw_now(draw, now, decides)
        if self.side and self.trace.steps[now].text is not None:
            self._draw_sentences(draw, now)
        elif self.side:
            self._draw_pictures(image, draw, memories, now)
        self._draw_bars(image, draw, memories)
        self._draw_title(draw, memories, now, decides)

    def _draw_past(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Draw a tick for everything ever seen."""
        axis, y = self.axis, self.baseline + 3
        width = max(1, round(axis.pitch) - 1)
        for step in range(now + 1):
            x = round(axis.x(step) - width / 2)
            colour = blend(FUTURE, RELEVANT, 0.6) if self.relevant[step] else FORGOTTEN
            draw.rectangle((x, y, x + width - 1, y + 6), fill=blend(FUTURE, colour, 0.8))

    def _draw_now(self, draw: ImageDraw.ImageDraw, now: int, decides: bool) -> None:
        x = round(self.axis.x(now))
        colour = DECIDES if decides else DIM
        draw.line((x, self.highest - 6, x, self.baseline + 12), fill=colour, width=2)

    def _draw_bars(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, memories: HeldMemories
    ) -> None:
        axis = self.axis
        width = max(2, min(14, round(axis.pitch) - 1))
        attention = memories.attention.max(0)
        for k in range(len(memories)):
            step = int(memories.written[k])
            x, y = axis.x(step), self._height(float(memories.remaining[k]))
            colour = self._colour(step)
            shade = blend(FUTURE, colour, 0.3 + 0.7 * float(memories.mask[k]))
            wide = max(width, 5) if self.relevant[step] else width
            left = round(x - wide / 2)
            draw.rectangle((left, y, left + wide - 1, self.baseline + 9), fill=shade)
            if self.relevant[step]:
                stamp(image, disc(6), x, y, shade)
        for k in np.flatnonzero(attention > 0.1):
            x = axis.x(int(memories.written[k]))
            y = self._height(float(memories.remaining[k]))
            share = float(attention[k])
            stamp(image, ring(round(5 + 7 * share), 2, round(90 + 165 * share)), x, y, TEXT)

    def _draw_pictures(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, memories: HeldMemories, now: int
    ) -> None:
        """Show what the longest-lived memories were written from, with a line to each."""
        steps = self.chosen[now]
        wanted = [self.axis.x(step) for step in steps]
        pad = self.side / 2 + 6
        left = self.axis.left + pad
        places = spread(wanted, self.side + 14, left, self.axis.right - pad)
        top = self.top + 30
        remaining = dict(zip(memories.written.tolist(), memories.remaining.tolist(), strict=True))
        for step, x in zip(steps, places, strict=True):
            colour = self._colour(step)
            y = self._height(remaining[step])
            line = blend(FUTURE, colour, 0.55)
            foot = top + self.side + 4
            draw.line((x, foot, self.axis.x(step), y), fill=line, width=2)
            corner = (round(x - self.side / 2), top)
            frame = (corner[0] - 3, top - 3, corner[0] + self.side + 2, top + self.side + 2)
            draw.rectangle(frame, fill=colour)
            image.paste(self._picture(step), corner)

    def _draw_sentences(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Write what the longest-lived memories were written from, and at which steps."""
        pitch = (self.side + 24) // THUMBNAILS
        for line, step in enumerate(self.chosen[now]):
            said = f"{step}  {self.trace.steps[step].text}"
            y = self.top + 28 + (line + 1) * pitch
            said = fit_text(draw, said, 17, self.axis.right - self.axis.left - 24)
            write(draw, (self.axis.left + 12, y), said, 17, self._colour(step))

    def _draw_title(
        self, draw: ImageDraw.ImageDraw, memories: HeldMemories, now: int, decides: bool
    ) -> None:
        text = "steps each memory will still last"
        if len(self.trace.steps[now].layers) > 1:
            text = f"layer {self.layer + 1}: {len(memories)} kept"
        end = write(draw, (self.axis.left + 8, self.top + 19), text, 16, DIM)
        if decides:
            x = max(end + 68, min(self.axis.x(now), self.axis.right - 60))
            pill(draw, (x, self.top + 14), "decides now", DECIDES, anchor="m")

    def _height(self, remaining: float) -> int:
        """Return y of a bar's top; a fading memory keeps a stub."""
        share = max(0.0, remaining) / self.full
        return round(self.baseline - 3 - share * (self.baseline - 3 - self.highest))

    def _colour(self, step: int) -> Colour:
        return RELEVANT if self.relevant[step] else OTHER

    def _picture(self, step: int) -> Image.Image:
        if step not in self.pictures:
            self.pictures[step] = surroundings(self.trace.frames[step], self.side)
        return self.pictures[step]


class KeptCurve:
    """How many memories were kept at each step, beside how many had been seen."""

    def __init__(
        self, kept: npt.NDArray[np.int64], layers: int, axis: TimeAxis, top: int, bottom: int
    ):
        self.kept, self.layers, self.axis, self.top, self.bottom = kept, layers, axis, top, bottom
        self.full = max(1, layers * axis.steps)

    def _y(self, count: float) -> float:
        return self.bottom - 4 - count / self.full * (self.bottom - self.top - 12)

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the panel and the line of a memory that forgets nothing."""
        axis = self.axis
        draw.rectangle((axis.left, self.top, axis.right, self.bottom), fill=FUTURE)
        end = axis.steps - 1
        points = [(axis.x(0), self._y(self.layers)), (axis.x(end), self._y(self.full))]
        draw.line(points, fill=RULE, width=2)
        write(draw, (axis.left - 8, self.top + 18), str(self.full), 15, DIM, "rs")
        write(draw, (axis.left - 8, self.bottom - 1), "0", 15, DIM, "rs")

    def draw(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Draw both lines up to step `now`."""
        axis = self.axis
        seen = [(axis.x(0), self._y(self.layers)), (axis.x(now), self._y((now + 1) * self.layers))]
        if now:
            draw.line(seen, fill=DIM, width=2)
            points = [(axis.x(t), self._y(float(self.kept[t]))) for t in range(now + 1)]
            foot = self.bottom - 1
            draw.polygon(
                [(points[0][0], foot), *points, (points[-1][0], foot)],
                fill=blend(PANEL, OTHER, 0.35),
            )
            draw.line(points, fill=OTHER, width=3)
        write(draw, (axis.left + 8, self.top + 20), "seen", 16, DIM)
        write(draw, (axis.left + 50, self.top + 20), "kept", 16, OTHER)


def scale_of(held: Iterable[HeldMemories]) -> int:
    """Return a round number of steps that no memory has more left of."""
    return round_up(max(float(memories.remaining.max()) for memories in held))


def longest_lived(held: list[HeldMemories]) -> list[list[int]]:
    """Choose, for each step, the memories shown as pictures, with as little coming and going.

    A picture stays until its memory is forgotten, or until one written later is given half as much
    again.

    Args:
        held: the layer's memories at each of T steps.

    Returns:
        T lists of the steps they were written at, oldest first.
    """
    chosen: list[int] = []
    history = []
    for memories in held:
        spans = dict(zip(memories.written.tolist(), memories.span.tolist(), strict=True))
        chosen = [step for step in chosen if step in spans]
        rest = sorted((s for s in spans if s not in chosen), key=lambda s: -spans[s])
        for step in rest[:THUMBNAILS]:
            if len(chosen) < THUMBNAILS:
                chosen.append(step)
                continue
            least = min(chosen, key=lambda s: spans[s])
            if spans[step] > 1.5 * spans[least]:
                chosen[chosen.index(least)] = step
        history.append(sorted(chosen))
    return history


def spread(wanted: list[float], apart: float, left: float, right: float) -> list[float]:
    """Move ascending places so that they are at least `apart` and within `left` to `right`."""
    places: list[float] = []
    for place in wanted:
        least = places[-1] + apart if places else left
        places.append(max(place, least))
    limit = right
    for n in reversed(range(len(places))):
        places[n] = min(places[n], limit)
        limit = places[n] - apart
    return places
