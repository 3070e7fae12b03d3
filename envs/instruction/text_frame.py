"""Text as a picture, for environments whose observations are sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WIDTH, LINE, MARGIN, SIZE = 640, 26, 12, 22
BACKGROUND, OLD, NEW = (24, 24, 28), (140, 140, 150), (255, 255, 255)


def draw_text(lines: Sequence[str], count: int) -> npt.NDArray[np.uint8]:
    """Render lines of text, the last one bright.

    Args:
        lines: At most `count` lines, the newest last; long lines are cut off.
        count: Number of lines that the frame has space for.

    Returns:
        The frame, uint8 `[height, width, 3]`, whose size depends only on `count`.
    """
    import pygame  # slow to import, and only needed to watch

    # Not kept from one frame to the next: other environments quit pygame when they are closed.
    pygame.font.init()
    font = pygame.font.Font(None, SIZE)  # pygame's own, the same on every machine
    surface = pygame.Surface((WIDTH, count * LINE + 2 * MARGIN))
    surface.fill(BACKGROUND)
    for n, line in enumerate(lines):
        rendered = font.render(line, True, NEW if n == len(lines) - 1 else OLD)
        surface.blit(rendered, (MARGIN, MARGIN + n * LINE))
    # pygame's first axis is x, a frame's first axis is y.
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).swapaxes(0, 1))
