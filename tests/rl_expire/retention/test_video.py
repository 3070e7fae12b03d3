"""Videos, GIFs and stills have the promised size, and are written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from rl_expire.retention.canvas import DECISION, GROUND, OTHER, RELEVANT, TEXT
from rl_expire.retention.frames import Frames
from rl_expire.retention.memory_panel import lifetime_scale
from rl_expire.retention.pair import Pair
from rl_expire.retention.picture import Picture
from rl_expire.retention.trace import HeldMemories, Trace, TracedStep
from rl_expire.retention.video import (
    left_out,
    ordinal,
    schedule,
    still,
    stride,
    write_gif,
    write_still,
    write_video,
)
from tests.traces import random_trace, weighed_trace

SIZE = (1280, 720)


def made_up(length: int, decisions: tuple[int, ...] = (), *, layers: int = 1) -> Trace:
    """Return an episode of `length` steps in which memories last 5 steps."""
    frames, steps = Frames(), []
    for t in range(length + 1):
        frames.append(np.full((8, 12, 3), t % 256, np.uint8))
    for t in range(length):
        written = np.arange(max(0, t - 5), t + 1)
        left = (5 - (t - written)).astype(np.float32)
        one = np.ones_like(left)
        held = HeldMemories(written, 5 * one, left, one, one[None] / np.float32(len(one)), 64)
        steps.append(
            TracedStep((t % 3,), 0.0, 0.5, np.full(3, 1 / 3, np.float32), t == 0, t in decisions,
                       None, (held,) * layers)
        )  # fmt: skip
    return Trace(
        "Made-up", 0, True, ("left", "right", "forward"), frames, tuple(steps),
        1.0, True, True, False, False,
    )  # fmt: skip


def decoded(path: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Return the metadata and the frames of a video."""
    reader: Iterator[Any] = imageio_ffmpeg.read_frames(str(path))
    return next(reader), list(reader)


def test_the_first_step_decisions_and_the_end_are_shown_for_longer() -> None:
    # 1.5 s, 1 s and 2 s of 4 frames each; a decision of two steps is held at its first.
    assert schedule(made_up(6, (3, 4)), 4) == [0] * 6 + [1, 2] + [3] * 4 + [4, 5] + [6] * 8


def test_more_than_four_decisions_are_not_held() -> None:
    assert schedule(made_up(11, (1, 3, 5, 7)), 1)[:2] == [0, 0]
    four, five = made_up(12, (1, 3, 5, 7)), made_up(12, (1, 3, 5, 7, 9))
    assert [schedule(trace, 2).count(5) for trace in (four, five)] == [2, 1]


def test_long_episodes_skip_steps_but_no_decision_and_not_the_end() -> None:
    trace = made_up(1001, (500,))
    assert stride(trace) == 3
    shown = sorted(set(schedule(trace, 12)))
    assert shown == sorted({*range(24), *range(0, 1001, 3), 500, *range(977, 1002)})
    assert stride(made_up(400)) == 1
    assert stride(made_up(401)) == 2


def test_a_video_decodes_to_its_size_and_number_of_frames(tmp_path: Path) -> None:
    traces = [made_up(4, (2,)), made_up(2, layers=2)]
    path = tmp_path / "retention.mp4"
    frames = write_video(traces, path, fps=2)
    assert frames == sum(len(schedule(trace, 2)) for trace in traces)
    about, images = decoded(path)
    assert about["size"] == SIZE
    assert about["codec"] == "h264"
    assert about["fps"] == 2
    assert len(images) == frames
    assert len(set(images)) > 5, "most frames are the same"
    assert os.listdir(tmp_path) == ["retention.mp4"]


def test_a_pair_is_as_long_as_the_longer_episode_and_holds_the_decisions_of_both() -> None:
    pair = Pair((made_up(4, (2,)), made_up(7, (5, 6))), ("one", "other"))
    assert schedule(pair, 2) == [0] * 3 + [1] + [2] * 2 + [3, 4] + [5] * 2 + [6] + [7] * 4
    assert stride(Pair((made_up(401), made_up(3)), ("one", "other"))) == 2


def test_a_video_of_pairs_decodes_to_its_size_and_number_of_frames(tmp_path: Path) -> None:
    names = ("one", "other")
    pairs = [Pair((made_up(4, (2,)), made_up(6)), names), Pair((made_up(2), made_up(2)), names)]
    frames = write_video(pairs, tmp_path / "compare.mp4", fps=2)
    assert frames == sum(len(schedule(pair, 2)) for pair in pairs)
    about, images = decoded(tmp_path / "compare.mp4")
    assert about["size"] == SIZE
    assert len(images) == frames
    assert len(set(images)) > 7, "most frames are the same"


def test_a_pair_has_stills_and_gifs(tmp_path: Path) -> None:
    pair = Pair((made_up(3), made_up(5)), ("one", "other"))
    write_still(pair, 5, tmp_path / "still.png")
    with Image.open(tmp_path / "still.png") as image:
        assert (image.format, image.size) == ("PNG", SIZE)
    with pytest.raises(ValueError, match="the episode has steps 0 to 5, not 6"):
        still(pair, 6)
    assert write_gif(pair, tmp_path / "all.gif", width=160) == 1
    with Image.open(tmp_path / "all.gif") as image:
        assert getattr(image, "n_frames") == 6  # noqa: B009 (Pillow does not declare it)


def test_a_still_is_a_png_of_the_given_step(tmp_path: Path) -> None:
    trace = made_up(4)
    write_still(trace, 2, tmp_path / "still.png")
    with Image.open(tmp_path / "still.png") as image:
        assert (image.format, image.size) == ("PNG", SIZE)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(still(trace, 2)))
    assert np.asarray(still(trace, 2)).tobytes() != np.asarray(still(trace, 4)).tobytes()


@pytest.mark.parametrize("t", [-1, 5])
def test_a_still_of_a_step_that_does_not_exist_is_refused(t: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"the episode has steps 0 to 4, not {t}"):
        write_still(made_up(4), t, tmp_path / "still.png")
    assert not os.listdir(tmp_path)


def test_a_gif_shows_every_step_if_it_fits_and_fewer_otherwise(tmp_path: Path) -> None:
    trace = made_up(7)
    assert write_gif(trace, tmp_path / "all.gif", width=160) == 1
    with Image.open(tmp_path / "all.gif") as image:
        assert (image.format, image.size) == ("GIF", (160, 90))
        assert getattr(image, "n_frames") == 8  # noqa: B009 (Pillow does not declare it)
    whole = (tmp_path / "all.gif").stat().st_size
    every = write_gif(trace, tmp_path / "few.gif", width=160, max_bytes=whole * 2 // 3)
    assert every > 1
    assert (tmp_path / "few.gif").stat().st_size <= whole * 2 // 3


def test_a_gif_keeps_the_colours_of_the_marks(tmp_path: Path) -> None:
    write_gif(random_trace(5), tmp_path / "all.gif")
    with Image.open(tmp_path / "all.gif") as image:
        image.seek(4)
        seen = {colour for _, colour in image.convert("RGB").getcolors(1 << 16) or []}
    assert {RELEVANT, OTHER, DECISION, GROUND, TEXT} <= seen


def test_a_gif_that_cannot_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no\.gif does not fit into 100 bytes"):
        write_gif(made_up(3), tmp_path / "no.gif", width=64, max_bytes=100)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("traces", "fps", "message"), [([], 12, "scenes is empty"), ([made_up(2)], 0, "fps is 0")]
)
def test_no_scenes_and_no_frames_per_second_are_refused(
    traces: list[Trace], fps: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        write_video(traces, tmp_path / "retention.mp4", fps=fps)
    assert not os.listdir(tmp_path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "video": lambda path: write_video([made_up(3)], path, fps=1),
    "gif": lambda path: write_gif(made_up(3), path, width=64),
    "still": lambda path: write_still(made_up(3), 2, path),
}
each = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


@each
def test_an_interruption_leaves_the_old_file_and_nothing_else(
    write: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(b"old")
    draw = Picture.draw

    def fail(self: Picture, step: int) -> Image.Image:
        if step == 2:
            raise KeyboardInterrupt
        return draw(self, step)

    monkeypatch.setattr(Picture, "draw", fail)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["picture"]


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match=r"cannot be written \(No space left on device\)"):
        write_video([made_up(3)], tmp_path / "picture", fps=1)
    assert not os.listdir(tmp_path)


@each
def test_an_unwritable_file_is_refused_in_one_line(
    write: Callable[[Path], Any], tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "none" / "picture"):
        with pytest.raises(
            ValueError, match=r"cannot be written .*: choose another path"
        ) as caught:
            write(path)
        assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


def for_good(trace: Trace) -> Trace:
    """Return an episode in which the first memory is kept for good."""
    steps = []
    for step in trace.steps:
        layers = []
        for held in step.layers:
            first = held.written == 0
            never = np.where(first, np.float32(np.inf), held.span)
            left = np.where(first, np.float32(np.inf), held.remaining)
            layers.append(replace(held, span=never, remaining=left))
        steps.append(replace(step, layers=tuple(layers)))
    return replace(trace, steps=tuple(steps))


def test_a_memory_kept_for_good_is_a_full_bar_on_a_scale_that_the_episode_fits(
    tmp_path: Path,
) -> None:
    trace = for_good(random_trace(60, longest=8.0))
    held = [step.layers[0] for step in trace.steps]
    assert lifetime_scale(held, 60) == 100
    assert (
        lifetime_scale([replace(h, remaining=np.array([3.0], np.float32)) for h in held], 60) == 5
    )
    only = [replace(h, remaining=np.array([np.inf], np.float32)) for h in held]
    assert lifetime_scale(only, 7) == 10
    assert write_video([trace], tmp_path / "one.mp4", fps=2) > 60
    pair = Pair((trace, random_trace(20)), ("one", "other"))
    assert still(pair, 30).size == SIZE


def test_notes_list_what_a_video_leaves_out() -> None:
    assert left_out(made_up(400)) == []
    cut = replace(made_up(900), cut=True, every=4)
    assert left_out(cut) == [
        "seed 0: the video shows every 4th of 900 steps, the first and last 24, and the start of "
        "each decision",
        "seed 0: memory is recorded every 4th step",
        "seed 0: not over after 900 steps; it counts as not solved, and no more is recorded",
    ]
    weighed = left_out(weighed_trace(30, every=2))
    assert weighed == ["seed 0: importance is measured for 2 steps at a time"]
    assert [ordinal(n) for n in (2, 3, 11, 12, 21, 26, 112)] == [
        *("2nd", "3rd", "11th", "12th", "21st", "26th", "112th")
    ]
