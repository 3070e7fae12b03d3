"""The panel of an agent without per-step memories: the importance of each observation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
    DECISION,
    DIM,
    FORGOTTEN,
    FUTURE,
    OTHER,
    RELEVANT,
    RULE,
    TEXT,
    blend,
    disc,
    pill,
    stamp,
    write,
)
from rl_expire.retention.importance import Importance
from rl_expire.retention.memory_panel import DECISION_LABEL
from rl_expire.retention.thumbnails import MAX_THUMBNAILS, Thumbnails
from rl_expire.retention.time_axis import TimeAxis
from rl_expire.retention.trace import Trace, relevant_steps

MIN_STEM = 0.01
"""Importance from which on an observation has a stem."""

MIN_THUMBNAIL = 0.1
"""Importance from which on an observation may be shown as a picture or in words."""


class ImportancePanel:
    """A stem for each observation, as high as its importance for the current action.

    It looks unlike a `MemoryPanel`, so that stems are not mistaken for memories.
    """

    def __init__(
        self, trace: Trace, importance: Importance, axis: TimeAxis, top: int, height: int
    ) -> None:
        """Lay out the panel of an episode.

        Args:
            trace: The episode.
            importance: Importance of its observations.
            axis: Time axis.
            top: Upper edge, in pixels.
            height: Height, in pixels.
        """
        self.trace, self.importance, self.axis = trace, importance, axis
        self.top, self.bottom = top, top + height
        side = 76 if height > 300 else 48
        self.thumbnails = Thumbnails(trace, axis, top, side)
        self.baseline = self.bottom - 34
        self.highest = top + side + 56
        self.relevant = relevant_steps(trace)

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the panel, its scale and its labels."""
        axis = self.axis
        draw.rectangle((axis.left, self.top, axis.right, self.bottom), fill=FUTURE, outline=RULE)
        for share in (0.0, 0.5, 1.0):
            axis.draw_gridline(draw, self._height(share), f"{share:.0%}")
        axis.draw_ticks(draw, self.bottom - 4)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the importance for action `t`; `t` = T is after the last action."""
        now = min(t, len(self.trace.steps) - 1)
        shares = self.importance.at(now)
        is_decision = t == now and bool(self.trace.steps[now].decision)
        self._draw_past(draw, now, is_decision)
        most = np.sort(np.argsort(-shares, kind="stable")[:MAX_THUMBNAILS])
        shown = [int(step) for step in most if shares[step] >= MIN_THUMBNAIL]
        marks = {step: self._height(float(shares[step])) for step in shown}
        self.thumbnails.draw(image, draw, marks)
        self._draw_stems(image, draw, shares)
        self._draw_title(draw, now, is_decision)

    def _draw_past(self, draw: ImageDraw.ImageDraw, now: int, is_decision: bool) -> None:
        """Draw a tick for every stretch of steps so far, and a line at the current step."""
        axis, y, every = self.axis, self.baseline + 3, self.importance.every
        width = max(1, round(axis.pitch * every) - 1)
        for step in range(0, now + 1, every):
            needed = self.relevant[step : step + every].any()
            colour = blend(FUTURE, RELEVANT, 0.6) if needed else FORGOTTEN
            x = round(axis.x(step) - axis.pitch / 2)
            draw.rectangle((x, y, x + width - 1, y + 6), fill=blend(FUTURE, colour, 0.8))
        x = round(axis.x(now))
        colour = DECISION if is_decision else DIM
        draw.line((x, self.highest - 6, x, self.baseline + 12), fill=colour, width=2)

    def _draw_stems(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, shares: npt.NDArray[np.float32]
    ) -> None:
        """Draw one stem for each stretch of steps."""
        every = self.importance.every
        for step in range(0, len(shares), every):
            share = float(shares[step])
            if share < MIN_STEM:
                continue
            needed = bool(self.relevant[step : step + every].any())
            colour = RELEVANT if needed else OTHER
            x, y = self.axis.x(step + (every - 1) / 2), self._height(share)
            draw.line((x, y, x, self.baseline), fill=blend(FUTURE, colour, 0.75), width=2)
            stamp(image, disc(7 if needed else 5), x, y, colour)

    def _draw_title(self, draw: ImageDraw.ImageDraw, now: int, is_decision: bool) -> None:
        """Write what the stems are, and mark a decision."""
        y = self.top + 14
        box = pill(draw, (self.axis.left + 4, y), "importance", TEXT, size=15, solid=False)
        explanation = "change of the current policy if the observation is hidden"
        write(draw, (box[2] + 10, self.top + 19), explanation, 15, DIM)
        if is_decision:
            x = min(self.axis.x(now), self.axis.right - 60)
            pill(draw, (x, y), DECISION_LABEL, DECISION, anchor="m")

    def _height(self, share: float) -> int:
        """Return y of an importance."""
        return round(self.baseline - share * (self.baseline - self.highest))


def method_lines(importance: Importance) -> list[str]:
    """Return a few short lines that say how importance is measured."""
    at_a_time = "" if importance.every == 1 else f" ({importance.every} steps at a time)"
    return [
        f"Each observation is replaced by the most common one{at_a_time}",
        "and the episode is replayed; a stem shows how much the policy changes.",
    ]
