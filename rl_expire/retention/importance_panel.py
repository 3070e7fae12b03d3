"""The panel of an agent that keeps no memories one by one: what it saw, by how much it matters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
    DECIDES,
    DIM,
    FORGOTTEN,
    FUTURE,
    OTHER,
    RELEVANT,
    RULE,
    TEXT,
    Colour,
    blend,
    disc,
    fit_text,
    pill,
    stamp,
    surroundings,
    write,
)
from rl_expire.retention.importance import Importance
from rl_expire.retention.memory_panel import THUMBNAILS, TimeAxis, spread
from rl_expire.retention.trace import Trace, relevant_steps

LEAST_STEM, LEAST_PICTURE = 0.01, 0.1
"""Smaller shares have no stem, and no picture."""

TITLE = "importance for this decision"


class ImportancePanel:
    """Stems over the episode's time, each as high as the policy would change without that step.

    It looks unlike a layer's panel, so that nobody takes the stems for memories held.
    """

    def __init__(
        self, trace: Trace, importance: Importance, axis: TimeAxis, top: int, height: int
    ) -> None:
        self.trace, self.importance, self.axis = trace, importance, axis
        self.top, self.bottom = top, top + height
        self.side = 76 if height > 300 else 48
        self.baseline = self.bottom - 34
        self.highest = top + self.side + 56
        self.relevant = relevant_steps(trace)
        self.pictures: dict[int, Image.Image] = {}

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the panel, its scale and its labels."""
        axis = self.axis
        draw.rectangle((axis.left, self.top, axis.right, self.bottom), fill=FUTURE, outline=RULE)
        for share in (0.0, 0.5, 1.0):
            y = self._height(share)
            draw.line((axis.left, y, axis.right, y), fill=RULE)
            write(draw, (axis.left - 8, y + 5), f"{100 * share:g} %", 15, DIM, "rs")
        for step in axis.ticks():
            write(draw, (axis.x(step), self.bottom - 4), str(step), 15, DIM, "ms")

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw what mattered for action `t`; `t` = T is after the last action."""
        now = min(t, len(self.trace.steps) - 1)
        shares = self.importance.at(now)
        decides = t == now and bool(self.trace.steps[now].decision)
        self._draw_past(draw, now, decides)
        chosen = np.sort(np.argsort(-shares, kind="stable")[:THUMBNAILS])
        chosen = [int(step) for step in chosen if shares[step] >= LEAST_PICTURE]
        if self.trace.steps[now].text is None:
            self._draw_pictures(image, draw, shares, chosen)
        else:
            self._draw_sentences(draw, chosen)
        self._draw_stems(image, draw, shares)
        self._draw_title(draw, now, decides)

    def _draw_past(self, draw: ImageDraw.ImageDraw, now: int, decides: bool) -> None:
        """Draw a tick for every stretch seen, and a line for the present."""
        axis, y, every = self.axis, self.baseline + 3, self.importance.every
        width = max(1, round(axis.pitch * every) - 1)
        for step in range(0, now + 1, every):
            needed = self.relevant[step : step + every].any()
            colour = blend(FUTURE, RELEVANT, 0.6) if needed else FORGOTTEN
            x = round(axis.x(step) - axis.pitch / 2)
            draw.rectangle((x, y, x + width - 1, y + 6), fill=blend(FUTURE, colour, 0.8))
        x = round(axis.x(now))
        colour = DECIDES if decides else DIM
        draw.line((x, self.highest - 6, x, self.baseline + 12), fill=colour, width=2)

    def _draw_stems(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, shares: npt.NDArray[np.float32]
    ) -> None:
        """Draw one stem for each stretch that was hidden."""
        every = self.importance.every
        for step in range(0, len(shares), every):
            share = float(shares[step])
            if share < LEAST_STEM:
                continue
            needed = bool(self.relevant[step : step + every].any())
            colour = RELEVANT if needed else OTHER
            x, y = self.axis.x(step + (every - 1) / 2), self._height(share)
            draw.line((x, y, x, self.baseline), fill=blend(FUTURE, colour, 0.75), width=2)
            stamp(image, disc(7 if needed else 5), x, y, colour)

    def _draw_pictures(
        self,
        image: Image.Image,
        draw: ImageDraw.ImageDraw,
        shares: npt.NDArray[np.float32],
        chosen: list[int],
    ) -> None:
        """Show the observations that matter most, with a line to each."""
        pad = self.side / 2 + 6
        wanted = [self.axis.x(step) for step in chosen]
        places = spread(wanted, self.side + 14, self.axis.left + pad, self.axis.right - pad)
        top = self.top + 30
        for step, x in zip(chosen, places, strict=True):
            colour = self._colour(step)
            end = (self.axis.x(step), self._height(float(shares[step])))
            line = blend(FUTURE, colour, 0.55)
            draw.line((x, top + self.side + 4, *end), fill=line, width=2)
            corner = (round(x - self.side / 2), top)
            frame = (corner[0] - 3, top - 3, corner[0] + self.side + 2, top + self.side + 2)
            draw.rectangle(frame, fill=colour)
            image.paste(self._picture(step), corner)

    def _draw_sentences(self, draw: ImageDraw.ImageDraw, chosen: list[int]) -> None:
        """Write the sentences that matter most, and at which steps they were read."""
        pitch = (self.side + 24) // THUMBNAILS
        for line, step in enumerate(chosen):
            y = self.top + 28 + (line + 1) * pitch
            said = f"{step}  {self.trace.steps[step].text}"
            said = fit_text(draw, said, 17, self.axis.right - self.axis.left - 24)
            write(draw, (self.axis.left + 12, y), said, 17, self._colour(step))

    def _draw_title(self, draw: ImageDraw.ImageDraw, now: int, decides: bool) -> None:
        y = self.top + 14
        box = pill(draw, (self.axis.left + 4, y), TITLE, TEXT, size=15, solid=False)
        said = "how much it would act differently without it"
        write(draw, (box[2] + 10, self.top + 19), said, 15, DIM)
        if decides:
            x = min(self.axis.x(now), self.axis.right - 60)
            pill(draw, (x, y), "decides now", DECIDES, anchor="m")

    def _height(self, share: float) -> int:
        return round(self.baseline - share * (self.baseline - self.highest))

    def _colour(self, step: int) -> Colour:
        return RELEVANT if self.relevant[step] else OTHER

    def _picture(self, step: int) -> Image.Image:
        if step not in self.pictures:
            self.pictures[step] = surroundings(self.trace.frames[step], self.side)
        return self.pictures[step]


def how_found(importance: Importance) -> list[str]:
    """Say in a few short lines how importance is measured."""
    at_a_time = "" if importance.every == 1 else f" ({importance.every} steps at a time)"
    return [
        "This agent keeps no memories one by one, so none can be shown as held.",
        f"Instead, each thing seen is replaced by the usual one{at_a_time} and the agent",
        "acts again: a stem is the share of its choice now that this changes.",
    ]
