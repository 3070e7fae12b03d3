"""Frames of text do not depend on what other environments do with pygame."""

from __future__ import annotations

import numpy as np
import pygame

from envs.instruction.text_frame import draw_text


def test_a_frame_is_the_same_after_another_environment_has_quit_pygame() -> None:
    frame = draw_text(["go to the mill", "bow"], 3)
    assert frame.std() > 0
    pygame.quit()
    assert np.array_equal(draw_text(["go to the mill", "bow"], 3), frame)
