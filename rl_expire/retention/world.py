"""The world column of a picture: what the agent sees, what it does, and how the episode ends."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
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
from rl_expire.retention.trace import Trace, TracedStep, is_flagged

_LABEL = 20
"""Pixels that a label needs above its line."""


@dataclass(frozen=True)
class Room:
    """The room that the column has, in pixels; it is 480 wide.

    Attributes:
        top: of the frame's edge.
        frame: height of the frame, at most.
        gap: from the line that says which step it is to what is below.
        heading: height of the policy's heading; 0 for none.
        bars: actions whose probability is shown, at most; the most likely ones, if fewer fit.
        pitch: from one bar to the next.
        crowded: the same where there are more than four bars, or no room for so few.
        outcome: height of the box that says how the episode ended.
        rewards: the line on which they are written; None to leave them out.
    """

    top: int
    frame: int
    gap: int
    heading: int
    bars: int
    pitch: int
    crowded: int
    outcome: int
    rewards: int | None


class WorldColumn:
    """Draws the world at any step of one episode."""

    def __init__(self, trace: Trace, left: int, right: int, room: Room):
        self.trace, self.left, self.right, self.room = trace, left, right, room
        self.flagged = is_flagged(trace)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the world before action `t`; `t` = T is after the last action."""
        steps, over = self.trace.steps, t == len(self.trace.steps)
        step = steps[min(t, len(steps) - 1)]
        y = self._draw_frame(image, draw, t) + 34
        write(draw, (self.left, y), f"step {min(t + 1, len(steps))}", 24)
        at = self.left + draw.textlength(f"step {len(steps)} ", font=font(24))
        write(draw, (at, y), f"of {len(steps)}", 18, DIM)
        if not over and step.decision:
            pill(draw, (self.right, y - 8), "decides now, from memory", DECIDES, anchor="r")
        elif not over and step.relevant:
            pill(draw, (self.right, y - 8), "sees what it will need", RELEVANT, anchor="r")
        if over:
            self._draw_outcome(draw, y + self.room.gap)
        else:
            self._draw_choice(draw, step, y + self.room.gap)
        if self.room.rewards is not None:
            self._draw_rewards(draw, t, self.room.rewards)

    def _draw_frame(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> int:
        """Draw the world in an edge that tells what it is to the agent; return its bottom."""
        width = self.right - self.left
        shown = fit_frame(self.trace.frames[t], width - 8, self.room.frame)
        left, top = (self.left + self.right - shown.width) // 2, self.room.top + 4
        edge = RULE
        if t < len(self.trace.steps):
            step = self.trace.steps[t]
            if self.flagged:
                edge = RELEVANT if step.relevant else blend(GROUND, OTHER, 0.75)
            if step.decision:
                edge = DECIDES
        box = (left, top, left + shown.width, top + shown.height)
        draw.rounded_rectangle(grow(box, 4), 4, fill=edge)
        image.paste(shown, box[:2])
        return box[3]

    def _draw_choice(self, draw: ImageDraw.ImageDraw, step: TracedStep, top: int) -> None:
        """Draw the policy as bars, the action taken bright."""
        if self.room.heading:
            write(draw, (self.left, top + 18), "what it does", 16, DIM)
        order = sorted(range(len(step.policy)), key=lambda a: -float(step.policy[a]))
        free = self._free_below(top + self.room.heading)
        shown = order[: min(self.room.bars, max(1, free // self.room.crowded))]
        if step.action not in shown:
            shown[-1] = step.action
        roomy = len(shown) <= 4 and len(shown) * self.room.pitch <= free
        pitch = self.room.pitch if roomy else self.room.crowded
        for row, action in enumerate(sorted(shown)):
            y = top + self.room.heading + row * pitch
            taken = action == step.action
            colour = TEXT if taken else DIM
            name = fit_text(draw, self.trace.action_names[action], 18, 104)
            write(draw, (self.left, y + 15), name, 18, colour)
            left, right = self.left + 116, self.right - 64
            draw.rectangle((left, y, right, y + 18), fill=PANEL)
            share = float(step.policy[action])
            if share > 0.004:
                end = left + max(2, round(share * (right - left)))
                draw.rectangle((left, y, end, y + 18), fill=TEXT if taken else RULE)
            write(draw, (self.right, y + 15), f"{100 * share:.0f} %", 18, colour, "rs")

    def _free_below(self, top: int) -> int:
        """Return how many pixels there are for bars from `top` on."""
        if self.room.rewards is None:
            return self.room.bars * self.room.pitch
        return self.room.rewards - _LABEL - top

    def _draw_outcome(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        trace, height = self.trace, self.room.outcome
        word, colour = outcome(trace)
        draw.rounded_rectangle((self.left, top, self.right, top + height), 10, fill=PANEL)
        draw.rounded_rectangle((self.left, top, self.left + 10, top + height), 4, fill=colour)
        said = f"reward {trace.total_reward:g} in {len(trace.steps)} steps"
        x = self.left + 32
        if height >= 100:
            write(draw, (x, top + 56), word, 40, colour)
            write(draw, (x, top + 98), said, 20, DIM)
        else:
            middle = top + height // 2
            write(draw, (x, middle), word, 30, colour, "lm")
            write(draw, (self.right - 20, middle), said, 18, DIM, "rm")

    def _draw_rewards(self, draw: ImageDraw.ImageDraw, t: int, y: int) -> None:
        """Write the reward so far and the one to come."""
        steps = self.trace.steps
        so_far = sum(step.reward for step in steps[:t])
        entries = [("reward so far", f"{so_far:g}")]
        if t < len(steps):
            entries.append(("reward it expects", f"{steps[t].value:.2f}"))
        for n, (label, number) in enumerate(entries):
            x = self.left + n * 200
            write(draw, (x, y), label, 16, DIM)
            write(draw, (x, y + 36), number, 30)


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
