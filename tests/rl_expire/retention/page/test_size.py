"""The page stays small: of episodes with too much data something is left out."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from rl_expire.retention.frames import Frames
from rl_expire.retention.page.data import Pictures
from rl_expire.retention.page.write import MAX_BYTES, write_page
from tests.rl_expire.retention.page.page_data import assert_agrees, page_data, written
from tests.traces import random_trace


def test_equal_frames_are_stored_once(tmp_path: Path) -> None:
    one = random_trace(5)
    frames = Frames()
    for t in (0, 1, 0, 0, 1, 2):
        frames.append(one.frames[t])
    data = written(tmp_path, replace(one, frames=frames), one)
    keys = [data["episodes"][0]["observations"][str(t)]["picture"] for t in range(5)]
    assert [keys.index(key) for key in keys] == [0, 1, 0, 0, 1]
    assert len(data["pictures"]) == 6, "episodes share their pictures"


def test_large_frames_are_shrunk_by_an_integer_factor() -> None:
    pictures = Pictures()
    large = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3), np.ones((400, 400), np.uint8))
    for frame, size in (
        (np.repeat(large[..., None], 3, 2), (400, 267)),
        (np.random.default_rng(0).integers(0, 255, (400, 700, 3), np.uint8), (234, 134)),
    ):
        key = pictures.key(frame)
        content = base64.b64decode(pictures.uris[key].split(",")[1])
        assert Image.open(io.BytesIO(content)).size == size


def photos(length: int, noise: int) -> Frames:
    """Return frames of many colours: a moving gradient with some noise."""
    frames, rng = Frames(), np.random.default_rng(0)
    slope = np.add.outer(np.arange(210), np.arange(160))[..., None] * np.array([1, 0.6, 0.3])
    slope = (slope % 256).astype(np.uint8)
    for t in range(length + 1):
        grain = rng.integers(0, noise, slope.shape, np.uint8, endpoint=True)
        frames.append(slope + np.uint8(3 * t % 256) + grain)  # uint8 wraps around
    return frames


def test_two_hundred_steps_with_everything_kept_fit_whole_into_five_megabytes(
    tmp_path: Path,
) -> None:
    trace = replace(
        random_trace(200, layers=2, heads=4, longest=1000.0), frames=photos(200, noise=10)
    )
    assert min(len(layer) for layer in trace.steps[-1].layers) > 150
    assert write_page([trace], tmp_path / "page.html") == ()
    assert (tmp_path / "page.html").stat().st_size < 5_000_000


def test_frames_that_do_not_compress_are_left_out_to_keep_the_limit(tmp_path: Path) -> None:
    trace = replace(random_trace(40, longest=3.0), frames=photos(40, noise=255))
    assert len(write_page([trace], tmp_path / "page.html", max_bytes=500_000)) == 1
    write_page([random_trace(1)], tmp_path / "empty.html")
    template = (tmp_path / "empty.html").stat().st_size
    assert (tmp_path / "page.html").stat().st_size < 500_000 + template
    assert MAX_BYTES + template < 5_000_000


def test_a_long_episode_is_shown_from_a_later_step_on(tmp_path: Path) -> None:
    trace = random_trace(1250)
    (note_of_seed,) = write_page([trace], tmp_path / "page.html", max_steps=1000)
    (episode,) = page_data(tmp_path / "page.html")["episodes"]
    note = "Steps 1 to 250 are left out: the page shows the last 1,000 of 1,250."
    assert note_of_seed == f"seed 0: {note}"
    assert episode["notes"] == [note]
    assert (episode["first"], episode["length"], len(episode["taken"])) == (250, 1250, 1000)
    assert episode["reward_before"] == 125
    assert episode["observations"]["0"]["relevant"], "earlier observations still kept are included"
    assert "200" not in episode["observations"]


def test_episodes_with_too_much_data_are_shown_from_a_later_step_on(tmp_path: Path) -> None:
    traces = [random_trace(80, longest=1000.0, seed=seed) for seed in (0, 1)]
    notes = write_page(traces, tmp_path / "page.html", max_bytes=20_000)
    data = page_data(tmp_path / "page.html")
    for seed, (note, trace) in enumerate(zip(notes, traces, strict=True)):
        episode = data["episodes"][seed]
        assert note.startswith(f"seed {seed}: Steps 1 to ")
        assert 0 < episode["first"] < 79
        assert_agrees(episode, trace)
        assert len(json.dumps(episode, separators=(",", ":"))) < 20_000
    (episode,) = written(tmp_path, traces[0], max_bytes=1)["episodes"]
    assert (episode["first"], len(episode["taken"])) == (79, 1)
