"""One picture of an episode: the world at the left, the memory at the right."""

from __future__ import annotations

from PIL import Image, ImageDraw

from rl_expire.retention.canvas import DIM, GROUND, OTHER, RELEVANT, Colour, write
from rl_expire.retention.column import MemoryColumn
from rl_expire.retention.importance_panel import how_found
from rl_expire.retention.memory_panel import KeptCurve
from rl_expire.retention.trace import Trace
from rl_expire.retention.world import Room, WorldColumn

SIZE = (1280, 720)
"""Width and height of every picture, in pixels."""

LEFT, LEFT_END = 28, 508
"""Sides of the world column."""
RIGHT, RIGHT_END = 548, 1252
"""Sides of the memory column."""

_ROOM = Room(
    top=104, frame=300, gap=34, heading=32, bars=7, pitch=34, crowded=22, outcome=128, rewards=640
)


class Picture:
    """Draws any step of one episode; what does not move is drawn once."""

    def __init__(self, trace: Trace, *, note: str = ""):
        self.trace = trace
        self.world = WorldColumn(trace, LEFT, LEFT_END, _ROOM)
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
        if self.memory.counts:
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
        image = Image.new("RGB", SIZE, GROUND)
        draw = ImageDraw.Draw(image)
        write(draw, (LEFT, 46), "What the agent remembers", 30)
        write_corner(draw, 42, self.trace.seed, note)
        write_legend(draw, 78, flagged=self.world.flagged, held=self.memory.counts)
        self.memory.draw_ground(draw)
        if self.curve is not None:
            self.curve.draw_ground(draw)
        if self.trace.importance is not None:
            for n, line in enumerate(how_found(self.trace.importance)):
                write(draw, (self.memory.axis.left, 604 + 26 * n), line, 17, DIM)
        return image


def write_corner(draw: ImageDraw.ImageDraw, y: int, seed: int, note: str) -> None:
    """Say at the right of the line `y` which episode this is."""
    said = f"{note} · seed {seed}" if note else f"seed {seed}"
    write(draw, (RIGHT_END, y), said, 16, DIM, "rs")


def write_legend(draw: ImageDraw.ImageDraw, y: int, *, flagged: bool, held: bool = True) -> None:
    """Say in one sentence on the line `y` what the marks mean, in their colours.

    Args:
        draw: where.
        y: the line, in pixels.
        flagged: whether the environment says which observations are needed later.
        held: whether they are memories held; otherwise they are what matters now.
    """
    if held:
        begin = "Every step leaves a memory; its bar is how long it will still last:  "
        end = ".  No bar: forgotten.  A ring: the agent is thinking of it now."
    else:
        begin = "A stem is how much a thing seen matters for what the agent does now:  "
        end = ".  No stem: not at all."
    other = "other things seen" if flagged else "things seen"
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
