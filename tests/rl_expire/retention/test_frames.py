"""Frames are returned unchanged, and held compressed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_expire.retention.frames import Frames, as_rgb


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


def test_pictures_of_other_kinds_become_rgb() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    alpha = np.concatenate([rgb, rng.integers(0, 256, (4, 5, 1), dtype=np.uint8)], axis=2)
    grey = np.repeat(rgb[..., :1], 3, axis=2)
    for picture, expected in (
        (rgb, rgb),
        (alpha, rgb),
        (rgb[..., :1], grey),
        (rgb[..., 0], grey),
        (rgb.astype(np.int64), rgb),
        (rgb.astype(np.float32), rgb),
        (np.nextafter(rgb / 255, 2), rgb),
        (grey[..., 0] > 99, 255 * (grey > 99)),
    ):
        frame = as_rgb(picture)
        assert frame is not None
        assert frame.dtype == np.uint8
        assert np.array_equal(frame, expected)


@pytest.mark.parametrize(
    "picture", [None, "frame", [1, 2], np.zeros((2, 3, 2)), np.zeros(5), np.zeros((0, 3, 3))]
)
def test_what_is_no_picture_is_no_frame(picture: Any) -> None:
    assert as_rgb(picture) is None
