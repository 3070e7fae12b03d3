"""The observations at the top of a panel: a few pictures or sentences."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
    FUTURE,
    OTHER,
    RELEVANT,
    Colour,
    blend,
    centre_crop,
    fit_text,
    write,
)
from rl_expire.retention.time_axis import TimeAxis
from rl_expire.retention.trace import Trace, relevant_steps

MAX_THUMBNAILS = 4
"""Number of observations shown at the top of a panel."""

_GAP = 14


class Thumbnails:
    """Observations as square pictures with lines to their marks, or as lines of text."""

    def __init__(self, trace: Trace, axis: TimeAxis, top: int, side: int):
        """Prepare the thumbnails of an episode.

        Args:
            trace: The episode.
            axis: Time axis of the panel.
            top: Upper edge of the panel, in pixels.
            side: Side of the pictures, in pixels.
        """
        self.trace, self.axis, self.top, self.side = trace, axis, top, side
        self._relevant = relevant_steps(trace)
        self._pictures: dict[int, Image.Image] = {}

    def draw(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, marks: Mapping[int, float]
    ) -> None:
        """Draw some observations.

        Args:
            image: The picture.
            draw: Draws on it.
            marks: y of the mark of each observation, by its step, earliest first.
        """
        if any(self.trace.steps[step].text is not None for step in marks):
            self._draw_texts(draw, list(marks))
        else:
            self._draw_pictures(image, draw, marks)

    def _draw_pictures(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, marks: Mapping[int, float]
    ) -> None:
        """Draw framed pictures in a row, each with a line to its mark."""
        margin = self.side / 2 + 6
        left, right = self.axis.left + margin, self.axis.right - margin
        places = spread([self.axis.x(step) for step in marks], self.side + _GAP, left, right)
        top = self.top + 30
        for (step, y), x in zip(marks.items(), places, strict=True):
            colour = self._colour(step)
            line = (x, top + self.side + 4, self.axis.x(step), y)
            draw.line(line, fill=blend(FUTURE, colour, 0.55), width=2)
            corner = (round(x - self.side / 2), top)
            frame = (corner[0] - 3, top - 3, corner[0] + self.side + 2, top + self.side + 2)
            draw.rectangle(frame, fill=colour)
            image.paste(self._picture(step), corner)

    def _draw_texts(self, draw: ImageDraw.ImageDraw, steps: list[int]) -> None:
        """Write observations in words, one a line, after the number of their step."""
        pitch = (self.side + 24) // MAX_THUMBNAILS
        width = self.axis.right - self.axis.left - 24
        for line, step in enumerate(steps):
            y = self.top + 28 + (line + 1) * pitch
            text = fit_text(draw, f"{step + 1}  {self.trace.steps[step].text}", 17, width)
            write(draw, (self.axis.left + 12, y), text, 17, self._colour(step))

    def _colour(self, step: int) -> Colour:
        """Return the colour of an observation's kind."""
        return RELEVANT if self._relevant[step] else OTHER

    def _picture(self, step: int) -> Image.Image:
        """Return the picture of an observation, made once."""
        if step not in self._pictures:
            self._pictures[step] = centre_crop(self.trace.frames[step], self.side)
        return self._pictures[step]


def spread(wanted: list[float], apart: float, left: float, right: float) -> list[float]:
    """Move ascending positions so that they are at least `apart`, within `left` to `right`."""
    places: list[float] = []
    for place in wanted:
        least = places[-1] + apart if places else left
        places.append(max(place, least))
    limit = right
    for n in reversed(range(len(places))):
        places[n] = min(places[n], limit)
        limit = places[n] - apart
    return places
