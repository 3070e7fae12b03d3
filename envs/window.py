"""A window on the screen for render mode "human"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Window:
    """A window that shows frames with pygame, a dependency of MiniGrid."""

    def __init__(self, title: str) -> None:
        """Prepare the window; it opens with the first frame.

        Args:
            title: Text of the title bar.
        """
        self._title = title
        self._screen: Any = None
        self._clock: Any = None

    def show(self, frame: npt.NDArray[np.uint8], fps: float) -> None:
        """Show a frame, at least 1 / `fps` seconds after the previous one.

        Args:
            frame: Pixels, uint8 `[height, width, 3]`.
            fps: Frames per second.
        """
        import pygame  # slow to import, and only needed to watch

        if self._screen is None:
            pygame.display.init()
            self._screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
            pygame.display.set_caption(self._title)
            self._clock = pygame.time.Clock()
        # pygame's first axis is x, a frame's first axis is y.
        self._screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(fps)

    def close(self) -> None:
        """Close the window."""
        if self._screen is not None:
            import pygame

            pygame.display.quit()
            self._screen = None
