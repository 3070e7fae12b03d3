"""One picture of an episode: the world at the left, the memory at the right."""

from __future__ import annotations

from PIL import Image, ImageDraw

from rl_expire.retention.canvas import DIM, GROUND, OTHER, RELEVANT, Colour, write
from rl_expire.retention.importance_panel import method_lines
from rl_expire.retention.kept_curve import KeptCurve
from rl_expire.retention.memory_column import MemoryColumn
from rl_expire.retention.trace import Trace
from rl_expire.retention.world_column import Layout, WorldColumn

SIZE = (1280, 720)
"""Width and height of every picture, in pixels."""

LEFT, LEFT_END = 28, 508
"""Edges of the world column, in pixels."""
RIGHT, RIGHT_END = 548, 1252
"""Edges of the memory column, in pixels."""

_LAYOUT = Layout(
    top=104, frame=300, gap=34, heading=32, bars=7, pitch=34, crowded=22, outcome=128, rewards=640
)


class Picture:
    """Pictures of the steps of one episode; what is the same at every step is drawn once."""

    def __init__(self, trace: Trace, *, note: str = ""):
        """Prepare the picture of an episode, with a note in the corner."""
        self.trace = trace
        self.world = WorldColumn(trace, LEFT, LEFT_END, _LAYOUT)
        self.memory = MemoryColumn(
            trace,
            RIGHT,
            RIGHT_END,
            counter=160,
            top=196,
            bottom=556,
            panels=4,
            size=64,
            kinds=True,
        )
        kept = self.memory.kept
        self.curve = None
        if self.memory.has_memories:
            self.curve = KeptCurve(kept.sum(1), kept.shape[1], self.memory.axis, 584, 690)
        self.ground = self._draw_ground(note)

    def draw(self, t: int) -> Image.Image:
        """Return the picture before action `t`; `t` = T is after the last action."""
        image = self.ground.copy()
        draw = ImageDraw.Draw(image)
        self.world.draw(image, draw, t)
        self.memory.draw(image, draw, t)
        if self.curve is not None:
            self.curve.draw(draw, min(t, len(self.trace.steps) - 1))
        return image

    def _draw_ground(self, note: str) -> Image.Image:
        """Return the picture without anything that changes from step to step."""
        image = Image.new("RGB", SIZE, GROUND)
        draw = ImageDraw.Draw(image)
        write(draw, (LEFT, 46), "What the agent remembers", 30)
        write_corner(draw, 42, self.trace.seed, note)
        write_legend(draw, 78, flagged=self.world.flagged, memories=self.memory.has_memories)
        self.memory.draw_ground(draw)
        if self.curve is not None:
            self.curve.draw_ground(draw)
        if self.trace.importance is not None:
            for n, line in enumerate(method_lines(self.trace.importance)):
                write(draw, (self.memory.axis.left, 604 + 26 * n), line, 17, DIM)
        return image


def write_corner(draw: ImageDraw.ImageDraw, y: int, seed: int, note: str) -> None:
    """Write which episode this is, at the right end of the line `y`."""
    text = f"{note} · seed {seed}" if note else f"seed {seed}"
    write(draw, (RIGHT_END, y), text, 16, DIM, "rs")


def write_legend(
    draw: ImageDraw.ImageDraw, y: int, *, flagged: bool, memories: bool = True
) -> None:
    """Explain the marks in one line, in their colours.

    Args:
        draw: Draws on the picture.
        y: Baseline, in pixels.
        flagged: Whether the environment says which observations are needed later.
        memories: Whether the marks are bars of memories; otherwise they are stems of importance.
    """
    if memories:
        begin = "Each step writes a memory; a bar is its remaining lifetime:  "
        end = ".  No bar: forgotten.  Ring: attention now."
    else:
        begin = "A stem is how much an observation matters for the current action:  "
        end = ".  No stem: not at all."
    other = "other observations" if flagged else "observations"
    parts: list[tuple[str, Colour]] = [
        (begin, DIM),
        ("needed later", RELEVANT),
        (",  ", DIM),
        (other, OTHER),
        (end, DIM),
    ]
    if not flagged:
        parts = [parts[0], *parts[3:]]
    x: float = LEFT
    for text, colour in parts:
        x = write(draw, (x, y), text, 17, colour)
