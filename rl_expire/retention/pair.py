"""One picture of two agents on the same episode, one above the other, on the same axes."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from rl_expire.retention.canvas import GROUND, RULE, fit_text, write
from rl_expire.retention.memory_column import MemoryColumn
from rl_expire.retention.memory_panel import lifetime_scale
from rl_expire.retention.picture import (
    LEFT,
    LEFT_END,
    RIGHT,
    RIGHT_END,
    SIZE,
    write_corner,
    write_legend,
)
from rl_expire.retention.trace import Trace
from rl_expire.retention.world_column import Layout, WorldColumn

_TOPS = (78, 402)
_HEIGHT = 308
_NAME_SIZE = 28


@dataclass(frozen=True)
class Pair:
    """Two agents on the same episode.

    Attributes:
        traces: One trace of each agent, with the same environment and seed.
        names: Names of the agents.
    """

    traces: tuple[Trace, Trace]
    names: tuple[str, str]


class PairPicture:
    """Pictures of two episodes; the shorter one stays at its end until the other is over."""

    def __init__(self, pair: Pair, *, note: str = ""):
        """Prepare the picture of two episodes, with a note in the corner."""
        held = [layers for t in pair.traces for step in t.steps for layers in step.layers]
        steps = max(len(trace.steps) for trace in pair.traces)
        scale = lifetime_scale(held, steps) if held else None
        self.halves = [
            _Half(trace, name, top, steps, scale)
            for trace, name, top in zip(pair.traces, pair.names, _TOPS, strict=True)
        ]
        self.ground = self._draw_ground(pair, note)

    def draw(self, t: int) -> Image.Image:
        """Return the picture before action `t`; `t` = T is after the longer one's last action."""
        image = self.ground.copy()
        draw = ImageDraw.Draw(image)
        for half in self.halves:
            half.draw(image, draw, t)
        return image

    def _draw_ground(self, pair: Pair, note: str) -> Image.Image:
        """Return the picture without anything that changes from step to step."""
        image = Image.new("RGB", SIZE, GROUND)
        draw = ImageDraw.Draw(image)
        write(draw, (LEFT, 36), "What two agents remember of the same episode", 26)
        write_corner(draw, 36, pair.traces[0].seed, note)
        memories = any(half.memory.has_memories for half in self.halves)
        write_legend(draw, 61, flagged=self.halves[0].world.flagged, memories=memories)
        middle = (_TOPS[0] + _HEIGHT + _TOPS[1]) // 2 - 2
        draw.line((LEFT, middle, RIGHT_END, middle), fill=RULE)
        for half in self.halves:
            half.draw_ground(draw)
        return image


class _Half:
    """One agent: its name, its world and its memory."""

    def __init__(self, trace: Trace, name: str, top: int, steps: int, scale: int | None):
        """Prepare one half: its upper edge, and the length and scale of both axes."""
        self.trace, self.name, self.baseline = trace, name, top + 28
        layout = Layout(
            top=top + 38,
            frame=150,
            gap=14,
            heading=0,
            bars=3,
            pitch=22,
            crowded=22,
            outcome=62,
            rewards=None,
        )
        self.world = WorldColumn(trace, LEFT, LEFT_END, layout)
        self.memory = MemoryColumn(
            trace,
            RIGHT,
            RIGHT_END,
            counter=self.baseline,
            top=top + 42,
            bottom=top + _HEIGHT,
            panels=2,
            size=44,
            steps=steps,
            scale=scale,
        )

    def draw_ground(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw what is the same at every step."""
        name = fit_text(draw, self.name, _NAME_SIZE, LEFT_END - LEFT)
        write(draw, (LEFT, self.baseline), name, _NAME_SIZE)
        self.memory.draw_ground(draw)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the half before action `t`, or at the end of its episode."""
        t = min(t, len(self.trace.steps))
        self.world.draw(image, draw, t)
        self.memory.draw(image, draw, t)
