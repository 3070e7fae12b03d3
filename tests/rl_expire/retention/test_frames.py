"""Frames are returned unchanged, and held compressed."""

from __future__ import annotations

import numpy as np

from rl_expire.retention.frames import Frames


def test_frames_are_returned_unchanged_and_take_little_memory() -> None:
    frames, originals = Frames(), []
    for n in range(5):
        frame = np.zeros((40, 60, 3), np.uint8)
        frame[n:, ::2] = 10 * n
        originals.append(frame)
        frames.append(frame)
    assert len(frames) == 5
    for frame, original in zip(frames, originals, strict=True):
        np.testing.assert_array_equal(frame, original)
    assert [f.tolist() for f in frames[1:3]] == [f.tolist() for f in originals[1:3]]
    assert frames.nbytes < sum(frame.nbytes for frame in originals) / 20


def test_a_repeated_frame_takes_no_memory() -> None:
    frames = Frames()
    for n in range(2):
        frames.append(np.full((8, 8, 3), n, np.uint8))
    frames.repeat(1, 0)
    np.testing.assert_array_equal(frames[1], frames[0])
    assert frames.nbytes == frames.nbytes_of(0)
