"""Colours, text and shapes for the pictures of memory."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rl_expire.retention.frames import Frame

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels; right and bottom are exclusive."""

# Okabe and Ito's palette, which colour-blind people can tell apart, on a dark background.
RELEVANT: Colour = (230, 159, 0)
OTHER: Colour = (86, 180, 233)
DECISION: Colour = (240, 228, 66)
GOOD: Colour = (0, 186, 136)
BAD: Colour = (232, 110, 40)
GROUND: Colour = (15, 18, 25)
PANEL: Colour = (25, 30, 40)
FUTURE: Colour = (20, 24, 32)
RULE: Colour = (52, 60, 76)
FORGOTTEN: Colour = (84, 94, 114)
DIM: Colour = (158, 168, 186)
TEXT: Colour = (236, 240, 246)
COLOURS = (RELEVANT, OTHER, DECISION, GOOD, BAD, GROUND, PANEL, FUTURE, RULE, FORGOTTEN, DIM, TEXT)


@lru_cache
def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return Pillow's default font, `size` pixels high."""
    return ImageFont.load_default(size=size)


def blend(ground: Colour, colour: Colour, share: float) -> Colour:
    """Return the colour at `share` of the way from `ground` to `colour`."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(ground, colour, strict=True))
    return (r, g, b)


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: Colour = TEXT,
    anchor: str = "ls",
) -> float:
    """Write a line of text.

    Args:
        draw: Draws on the picture.
        at: Position of the anchor, in pixels.
        text: The line.
        size: Height of the letters, in pixels.
        colour: Colour of the letters.
        anchor: Pillow's text anchor; `ls` is the left end of the baseline.

    Returns:
        The x at which the text ends if it is anchored at its left.
    """
    draw.text(at, text, colour, font=font(size), anchor=anchor)
    return at[0] + draw.textlength(text, font=font(size))


def fit_text(draw: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """Return `text`, shortened with an ellipsis to at most `width` pixels."""
    if draw.textlength(text, font=font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", font=font(size)) > width:
        text = text[:-1]
    return text + "…"


def pill(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    colour: Colour,
    *,
    size: int = 16,
    anchor: str = "l",
    solid: bool = True,
) -> Box:
    """Draw a word in a box with round ends.

    Args:
        draw: Draws on the picture.
        at: Position of the anchor, in pixels.
        text: The word.
        colour: Colour of the box.
        size: Height of the letters, in pixels.
        anchor: `l`, `r` or `m`: the middle of the left side, of the right side, or of the box.
        solid: Whether to fill the box and write in dark letters; otherwise draw its outline.

    Returns:
        The box.
    """
    width, height = int(draw.textlength(text, font=font(size))) + size, size + 10
    left = int(at[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor] * width)
    top = int(at[1] - height / 2)
    box = (left, top, left + width, top + height)
    draw.rounded_rectangle(
        box, height // 2, fill=colour if solid else GROUND, outline=colour, width=2
    )
    letters = GROUND if solid else colour
    middle = (left + width / 2, top + height / 2)
    draw.text(middle, text, letters, font=font(size), anchor="mm")
    return box


@lru_cache(maxsize=256)
def ring(radius: int, width: int, opacity: int) -> Image.Image:
    """Return the mask of an antialiased ring.

    Args:
        radius: Outer radius, in pixels.
        width: Width of the line, in pixels.
        opacity: 0 to 255.
    """
    side = 2 * (radius + width)
    big = Image.new("L", (4 * side, 4 * side))
    ImageDraw.Draw(big).ellipse(
        (2 * width, 2 * width, 4 * side - 2 * width, 4 * side - 2 * width),
        outline=opacity,
        width=4 * width,
    )
    return big.resize((side, side), Image.Resampling.BOX)


@lru_cache(maxsize=64)
def disc(radius: int) -> Image.Image:
    """Return the mask of an antialiased disc, `radius` in pixels."""
    big = Image.new("L", (8 * radius, 8 * radius))
    ImageDraw.Draw(big).ellipse((0, 0, 8 * radius - 1, 8 * radius - 1), fill=255)
    return big.resize((2 * radius, 2 * radius), Image.Resampling.BOX)


def stamp(image: Image.Image, mask: Image.Image, x: float, y: float, colour: Colour) -> None:
    """Paint `image` with `colour` through `mask`, centred on (x, y)."""
    image.paste(colour, (round(x - mask.width / 2), round(y - mask.height / 2)), mask)


def fit_frame(frame: Frame, width: int, height: int) -> Image.Image:
    """Return `frame` as large as fits; it is enlarged by whole multiples only."""
    image = Image.fromarray(frame)
    scale = min(width / image.width, height / image.height)
    if scale >= 1:
        scale = int(scale)
        size = (image.width * scale, image.height * scale)
        return image.resize(size, Image.Resampling.NEAREST)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)


def centre_crop(frame: Frame, side: int) -> Image.Image:
    """Return the square in the middle of a frame; views that follow the agent have it there."""
    height, width = frame.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    crop = np.ascontiguousarray(frame[top : top + edge, left : left + edge])
    return Image.fromarray(crop).resize((side, side), Image.Resampling.BOX)


def round_up(value: float) -> int:
    """Return the first of 5, 10, 20, 25, 50, 100, 200, 250, ... that is at least `value`."""
    power = 1
    while True:
        for step in (5, 10, 20, 25):
            if step * power >= value:
                return step * power
        power *= 10
