"""The horizontal axis that the panels of a picture share: the steps of an episode."""

from __future__ import annotations

from PIL import ImageDraw

from rl_expire.retention.canvas import DIM, RULE, round_up, write

LABEL_SIZE = 15
"""Height of the letters of axis labels, in pixels."""

_MARGIN = 12


class TimeAxis:
    """Horizontal positions of the steps of an episode, from `left` to `right` in pixels."""

    def __init__(self, left: int, right: int, steps: int):
        """Place `steps` steps between two edges."""
        self.left, self.right, self.steps = left, right, steps
        self.pitch = (right - left - 2 * _MARGIN) / max(1, steps)

    def x(self, step: float) -> float:
        """Return the middle of a step, in pixels."""
        return self.left + _MARGIN + (step + 0.5) * self.pitch

    def ticks(self) -> list[int]:
        """Return the steps to label: the first one, and round ones counting from 1."""
        apart = round_up(self.steps / 6)
        return [0, *(number - 1 for number in range(apart, self.steps + 1, apart) if number > 1)]

    def draw_ticks(self, draw: ImageDraw.ImageDraw, y: int) -> None:
        """Label the axis on the baseline `y`, counting steps from 1."""
        write(draw, (self.left - 8, y), "step", LABEL_SIZE, DIM, "rs")
        for step in self.ticks():
            write(draw, (self.x(step), y), str(step + 1), LABEL_SIZE, DIM, "ms")

    def draw_gridline(self, draw: ImageDraw.ImageDraw, y: int, label: str) -> None:
        """Draw a horizontal line at `y` with a label at its left."""
        draw.line((self.left, y, self.right, y), fill=RULE)
        write(draw, (self.left - 8, y + 5), label, LABEL_SIZE, DIM, "rs")
