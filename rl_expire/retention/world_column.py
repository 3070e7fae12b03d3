"""The world column of a picture: the frame, the agent's action, and the outcome of the episode."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from rl_expire.retention.canvas import (
    DECISION,
    DIM,
    GROUND,
    OTHER,
    PANEL,
    RELEVANT,
    RULE,
    TEXT,
    Box,
    blend,
    fit_frame,
    fit_text,
    font,
    pill,
    write,
)
from rl_expire.retention.outcome import outcome
from rl_expire.retention.trace import Trace, TracedStep, is_flagged

_LABEL = 20
"""Pixels that a label needs above its baseline."""

_MIN_BAR = 0.004
"""Probability from which on an action has a bar."""


@dataclass(frozen=True)
class Layout:
    """Sizes and positions in a world column, in pixels; the column is 480 pixels wide.

    Attributes:
        top: Upper edge of the frame's border.
        frame: Maximum height of the frame.
        gap: Distance from the line with the step to what is below it.
        heading: Height of the heading above the policy; 0 for none.
        bars: Maximum number of actions shown, the most likely ones.
        pitch: Distance from one bar to the next.
        crowded: The same distance for more than four bars, or where there is no room for fewer.
        outcome: Height of the box with the outcome of the episode.
        rewards: Baseline of the labels of the rewards; None to leave the rewards out.
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
    """A picture of the world at any step of one episode."""

    def __init__(self, trace: Trace, left: int, right: int, layout: Layout):
        """Prepare the column of an episode, between two edges in pixels."""
        self.trace, self.left, self.right, self.layout = trace, left, right, layout
        self.flagged = is_flagged(trace)

    def draw(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> None:
        """Draw the world before action `t`; `t` = T is after the last action."""
        steps, over = self.trace.steps, t == len(self.trace.steps)
        step = steps[min(t, len(steps) - 1)]
        y = self._draw_frame(image, draw, t) + 34
        write(draw, (self.left, y), f"step {min(t + 1, len(steps))}", 24)
        x = self.left + draw.textlength(f"step {len(steps)} ", font=font(24))
        write(draw, (x, y), f"of {len(steps)}", 18, DIM)
        if not over and step.decision:
            pill(draw, (self.right, y - 8), "decision from memory", DECISION, anchor="r")
        elif not over and step.relevant:
            pill(draw, (self.right, y - 8), "needed later", RELEVANT, anchor="r")
        if over:
            self._draw_outcome(draw, y + self.layout.gap)
        else:
            self._draw_policy(draw, step, y + self.layout.gap)
        if self.layout.rewards is not None:
            self._draw_rewards(draw, t, self.layout.rewards)

    def _draw_frame(self, image: Image.Image, draw: ImageDraw.ImageDraw, t: int) -> int:
        """Draw the frame, with a border in the colour of its kind; return its lower edge."""
        width = self.right - self.left
        shown = fit_frame(self.trace.frames[t], width - 8, self.layout.frame)
        left, top = (self.left + self.right - shown.width) // 2, self.layout.top + 4
        border = RULE
        if t < len(self.trace.steps):
            step = self.trace.steps[t]
            if self.flagged:
                border = RELEVANT if step.relevant else blend(GROUND, OTHER, 0.75)
            if step.decision:
                border = DECISION
        box = (left, top, left + shown.width, top + shown.height)
        draw.rounded_rectangle(_grow(box, 4), 4, fill=border)
        image.paste(shown, box[:2])
        return box[3]

    def _draw_policy(self, draw: ImageDraw.ImageDraw, step: TracedStep, top: int) -> None:
        """Draw the policy as bars, those of the action taken bright."""
        if self.layout.heading:
            write(draw, (self.left, top + 18), "policy", 16, DIM)
        order = sorted(range(len(step.policy)), key=lambda a: -float(step.policy[a]))
        free = self._free_below(top + self.layout.heading)
        shown = order[: min(self.layout.bars, max(1, free // self.layout.crowded))]
        missing = [action for action in step.taken if action not in shown]
        if missing:
            kept = [action for action in shown if action in step.taken]
            others = [action for action in shown if action not in step.taken]
            shown = [*missing, *kept, *others][: len(shown)]
        roomy = len(shown) <= 4 and len(shown) * self.layout.pitch <= free
        pitch = self.layout.pitch if roomy else self.layout.crowded
        for row, action in enumerate(sorted(shown)):
            self._draw_action(draw, step, action, top + self.layout.heading + row * pitch)

    def _draw_action(
        self, draw: ImageDraw.ImageDraw, step: TracedStep, action: int, y: int
    ) -> None:
        """Draw the name, the bar and the probability of one action."""
        taken, share = action in step.taken, float(step.policy[action])
        colour = TEXT if taken else DIM
        name = fit_text(draw, self.trace.action_names[action], 18, 104)
        write(draw, (self.left, y + 15), name, 18, colour)
        left, right = self.left + 116, self.right - 64
        draw.rectangle((left, y, right, y + 18), fill=PANEL)
        if share > _MIN_BAR:
            end = left + max(2, round(share * (right - left)))
            draw.rectangle((left, y, end, y + 18), fill=TEXT if taken else RULE)
        write(draw, (self.right, y + 15), f"{share:.0%}", 18, colour, "rs")

    def _free_below(self, top: int) -> int:
        """Return the pixels available for bars from `top` on."""
        if self.layout.rewards is None:
            return self.layout.bars * self.layout.pitch
        return self.layout.rewards - _LABEL - top

    def _draw_outcome(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        """Draw the box with the outcome of the episode."""
        trace, height = self.trace, self.layout.outcome
        word, colour = outcome(trace)
        draw.rounded_rectangle((self.left, top, self.right, top + height), 10, fill=PANEL)
        draw.rounded_rectangle((self.left, top, self.left + 10, top + height), 4, fill=colour)
        score = f"reward {trace.total_reward:g} in {len(trace.steps)} steps"
        x = self.left + 32
        if height >= 100:
            write(draw, (x, top + 56), word, 40, colour)
            write(draw, (x, top + 98), score, 20, DIM)
        else:
            middle = top + height // 2
            write(draw, (x, middle), word, 30, colour, "lm")
            write(draw, (self.right - 20, middle), score, 18, DIM, "rm")

    def _draw_rewards(self, draw: ImageDraw.ImageDraw, t: int, y: int) -> None:
        """Write the reward so far and the value estimate."""
        steps = self.trace.steps
        so_far = sum(step.reward for step in steps[:t])
        entries = [("reward so far", f"{so_far:g}")]
        if t < len(steps):
            entries.append(("value estimate", f"{steps[t].value:.2f}"))
        for n, (label, number) in enumerate(entries):
            x = self.left + n * 200
            write(draw, (x, y), label, 16, DIM)
            write(draw, (x, y + 36), number, 30)


def _grow(box: Box, by: int) -> Box:
    """Return `box` with a margin of `by` pixels."""
    return (box[0] - by, box[1] - by, box[2] + by - 1, box[3] + by - 1)
