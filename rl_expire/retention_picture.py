"""One picture of an episode: the world at the left, the memory at the right."""

from __future__ import annotations

from PIL import Image, ImageDraw

from rl_expire.retention import Trace, TracedStep, kept_counts, relevant_steps
from rl_expire.retention_canvas import (
    BAD,
    DECIDES,
    DIM,
    GOOD,
    GROUND,
    OTHER,
    PANEL,
    RELEVANT,
    RULE,
    TEXT,
    Box,
    Colour,
    blend,
    fit_frame,
    fit_text,
    font,
    pill,
    write,
)
from rl_expire.retention_memory import KeptCurve, LayerPanel, TimeAxis

SIZE = (1280, 720)
"""Width and height of every picture, in pixels."""

_LEFT, _LEFT_END = 28, 508
_RIGHT, _RIGHT_END = 548, 1252
_TOP = 104
_MOST_PANELS = 4
_MOST_BARS = 7


class Picture:
    """Draws any step of one episode; what does not move is drawn once."""

    def __init__(self, trace: Trace, *, note: str = ""):
        self.trace = trace
        self.note = note
        self.relevant = relevant_steps(trace)
        self.flagged = any(step.relevant is not None for step in trace.steps)
        self.kept = kept_counts(trace)
        axis = TimeAxis(_RIGHT + 44, _RIGHT_END, len(trace.steps))
        layers = min(self.kept.shape[1], _MOST_PANELS)
        top, bottom, gap = 196, 556, 12
        height = (bottom - top - gap * (layers - 1)) // max(1, layers)
        self.panels = [
            LayerPanel(trace, n, axis, top + n * (height + gap), height) for n in range(layers)
        ]
        self.curve = KeptCurve(self.kept.sum(1), self.kept.shape[1], axis, 584, 690)
        self.ground = self._draw_ground()

    def draw(self, t: int) -> Image.Image:
        """Return the picture before action `t`; `t` = T is after the last action."""
        image = self.ground.copy()
        draw = ImageDraw.Draw(image)
        now = min(t, len(self.trace.steps) - 1)
        self._draw_world(image, draw, t, now)
        if self.panels:
            self._draw_counter(draw, now)
            for panel in self.panels:
                panel.draw(image, draw, now)
            self.curve.draw(draw, now)
        return image

    def _draw_ground(self) -> Image.Image:
        image = Image.new("RGB", SIZE, GROUND)
        draw = ImageDraw.Draw(image)
        write(draw, (_LEFT, 46), "What the agent remembers", 30)
        right = f"seed {self.trace.seed}"
        right = f"{self.note} · {right}" if self.note else right
        write(draw, (_RIGHT_END, 42), right, 16, DIM, "rs")
        self._draw_legend(draw)
        if not self.panels:
            middle = ((_RIGHT + _RIGHT_END) / 2, 360)
            write(draw, middle, "This agent keeps no memories one by one", 20, DIM, "mm")
            return image
        for panel in self.panels:
            panel.draw_ground(draw)
        self.curve.draw_ground(draw)
        return image

    def _draw_legend(self, draw: ImageDraw.ImageDraw) -> None:
        """Say in one sentence what the marks mean, in their colours."""
        other = "other things seen" if self.flagged else "things seen"
        parts: list[tuple[str, Colour]] = [
            ("Every step leaves a memory; its bar is how long it will still last:  ", DIM),
            ("needed later", RELEVANT),
            (",  ", DIM),
            (other, OTHER),
            (".  No bar: forgotten.  A ring: the agent is thinking of it now.", DIM),
        ]
        if not self.flagged:
            parts = [parts[0], *parts[3:]]
        x: float = _LEFT
        for text, colour in parts:
            x = write(draw, (x, 78), text, 17, colour)

    def _draw_counter(self, draw: ImageDraw.ImageDraw, now: int) -> None:
        layers = self.kept.shape[1]
        kept, seen = int(self.kept[now].sum()), (now + 1) * layers
        x = write(draw, (_RIGHT, 160), str(kept), 64)
        x = write(draw, (x + 12, 160), "kept of", 24, DIM)
        x = write(draw, (x + 10, 160), str(seen), 36)
        write(draw, (x + 10, 160), "seen" if layers == 1 else f"in {layers} layers", 24, DIM)
        size = sum(layer.nbytes for layer in self.trace.steps[now].layers)
        write(draw, (_RIGHT_END, 160), f"{size / 1000:,.0f} kB of memory", 18, DIM, "rs")

    def _draw_world(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int, now: int) -> None:
        step = self.trace.steps[now]
        over = t == len(self.trace.steps)
        shown = fit_frame(self.trace.frames[t], _LEFT_END - _LEFT - 8, 300)
        left = (_LEFT + _LEFT_END - shown.width) // 2
        box = (left, _TOP + 4, left + shown.width, _TOP + 4 + shown.height)
        edge = RULE
        if not over and self.flagged:
            edge = RELEVANT if step.relevant else blend(GROUND, OTHER, 0.75)
        if not over and step.decision:
            edge = DECIDES
        draw.rounded_rectangle(grow(box, 4), 4, fill=edge)
        image.paste(shown, box[:2])
        y = box[3] + 34
        write(draw, (_LEFT, y), f"step {min(t + 1, len(self.trace.steps))}", 24)
        at = _LEFT + draw.textlength(f"step {len(self.trace.steps)} ", font=font(24))
        write(draw, (at, y), f"of {len(self.trace.steps)}", 18, DIM)
        if not over and step.decision:
            pill(draw, (_LEFT_END, y - 8), "decides now, from memory", DECIDES, anchor="r")
        elif not over and step.relevant:
            pill(draw, (_LEFT_END, y - 8), "sees what it will need", RELEVANT, anchor="r")
        if over:
            self._draw_outcome(draw, y + 34)
        else:
            self._draw_choice(draw, step, y + 34)
        self._draw_return(draw, t)

    def _draw_choice(self, draw: ImageDraw.ImageDraw, step: TracedStep, top: int) -> None:
        """Draw the policy as bars, the action taken bright."""
        write(draw, (_LEFT, top + 18), "what it does", 16, DIM)
        order = sorted(range(len(step.policy)), key=lambda a: -float(step.policy[a]))
        shown = sorted(order[:_MOST_BARS])
        if step.action not in shown:
            shown[-1] = step.action
        pitch = 34 if len(shown) <= 4 else 22
        for row, action in enumerate(shown):
            y = top + 32 + row * pitch
            taken = action == step.action
            colour = TEXT if taken else DIM
            name = fit_text(draw, self.trace.action_names[action], 18, 104)
            write(draw, (_LEFT, y + 15), name, 18, colour)
            left, right = _LEFT + 116, _LEFT_END - 64
            draw.rectangle((left, y, right, y + 18), fill=PANEL)
            share = float(step.policy[action])
            if share > 0.004:
                end = left + max(2, round(share * (right - left)))
                draw.rectangle((left, y, end, y + 18), fill=TEXT if taken else RULE)
            write(draw, (_LEFT_END, y + 15), f"{100 * share:.0f} %", 18, colour, "rs")

    def _draw_outcome(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        trace = self.trace
        word, colour = outcome(trace)
        draw.rounded_rectangle((_LEFT, top, _LEFT_END, top + 128), 10, fill=PANEL)
        draw.rounded_rectangle((_LEFT, top, _LEFT + 10, top + 128), 4, fill=colour)
        write(draw, (_LEFT + 32, top + 56), word, 40, colour)
        said = f"reward {trace.total_reward:g} in {len(trace.steps)} steps"
        write(draw, (_LEFT + 32, top + 98), said, 20, DIM)

    def _draw_return(self, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Write reward so far and the value at the bottom."""
        steps = self.trace.steps
        so_far = sum(step.reward for step in steps[:t])
        entries = [("reward so far", f"{so_far:g}")]
        if t < len(steps):
            entries.append(("reward it expects", f"{steps[t].value:.2f}"))
        for n, (label, number) in enumerate(entries):
            x = _LEFT + n * 200
            write(draw, (x, 640), label, 16, DIM)
            write(draw, (x, 676), number, 30)


def outcome(trace: Trace) -> tuple[str, Colour]:
    """Return the end of the episode in a word or two, and its colour."""
    if trace.cut:
        return f"Cut at {len(trace.steps)} steps", DIM
    if trace.success:
        return "Success", GOOD
    if trace.truncated:
        return "Out of time", BAD
    if trace.success is None:
        return "The end", TEXT
    return "Failure", BAD


def grow(box: Box, by: int) -> Box:
    """Return `box` with a margin of `by` pixels."""
    return (box[0] - by, box[1] - by, box[2] + by - 1, box[3] + by - 1)
