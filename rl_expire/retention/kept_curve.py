"""The curve of how many memories are kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw

from rl_expire.retention.canvas import DIM, FUTURE, OTHER, PANEL, RULE, blend, write
from rl_expire.retention.time_axis import LABEL_SIZE, TimeAxis


class KeptCurve:
    """A curve of the memories kept up to a step, beside those that were written."""

    def __init__(
        self, kept: npt.NDArray[np.int64], layers: int, axis: TimeAxis, top: int, bottom: int
    ):
        """Lay out the curve of an episode.

        Args:
            kept: `[T]`, memories kept in all layers at each step.
            layers: Number of layers.
            axis: Time axis.
            top: Upper edge, in pixels.
            bottom: Lower edge, in pixels.
        """
        self.kept, self.layers, self.axis, self.top, self.bottom = kept, layers, axis, top, bottom
        self.full = max(1, layers * axis.steps)

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the panel, and the line of a memory that never forgets."""
        axis = self.axis
        draw.rectangle((axis.left, self.top, axis.right, self.bottom), fill=FUTURE)
        end = axis.steps - 1
        points = [(axis.x(0), self._y(self.layers)), (axis.x(end), self._y(self.full))]
        draw.line(points, fill=RULE, width=2)
        write(draw, (axis.left - 8, self.top + 18), str(self.full), LABEL_SIZE, DIM, "rs")
        write(draw, (axis.left - 8, self.bottom - 1), "0", LABEL_SIZE, DIM, "rs")

    def draw(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        """Draw both lines up to step `now`."""
        axis = self.axis
        written = (axis.x(now), self._y((now + 1) * self.layers))
        if now:
            draw.line([(axis.x(0), self._y(self.layers)), written], fill=DIM, width=2)
            points = [(axis.x(t), self._y(float(self.kept[t]))) for t in range(now + 1)]
            foot = self.bottom - 1
            draw.polygon(
                [(points[0][0], foot), *points, (points[-1][0], foot)],
                fill=blend(PANEL, OTHER, 0.35),
            )
            draw.line(points, fill=OTHER, width=3)
        end = write(draw, (axis.left + 8, self.top + 20), "written", 16, DIM)
        write(draw, (end + 8, self.top + 20), "kept", 16, OTHER)

    def _y(self, count: float) -> float:
        """Return the height of a number of memories, in pixels from the top of the picture."""
        return self.bottom - 4 - count / self.full * (self.bottom - self.top - 12)
