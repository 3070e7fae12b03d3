"""Videos, GIFs and stills of what an agent remembers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter
from PIL import Image

from rl_expire.retention import Trace, decision_starts
from rl_expire.retention_picture import SIZE, Picture
from rl_expire.whole_file import whole_file

MOST_STEPS_SHOWN = 400
"""Longer episodes are shown every k-th step."""

_FIRST_SECONDS, _DECISION_SECONDS, _LAST_SECONDS = 1.5, 1.0, 2.0
_MOST_DECISION_STOPS = 4
_GIF_COLOURS = 64


def write_video(traces: Sequence[Trace], path: Path, *, fps: int = 12) -> int:
    """Write one H.264 video of 1280 x 720 with the episodes one after the other.

    Args:
        traces: the episodes.
        path: the mp4 file; it is replaced only once the new one is complete.
        fps: frames a second: steps a second in episodes of up to 400 steps.

    Returns:
        The number of frames written.

    Raises:
        ValueError: there is nothing to show, `fps` is below 1, or the file cannot be written.
    """
    if not traces:
        raise ValueError("--seeds is empty: give one or more")
    if fps < 1:
        raise ValueError(f"--fps is {fps}: choose 1 or more")
    with whole_file(path, ".mp4") as temporary:
        writer = FFMPEG_VideoWriter(
            str(temporary),
            SIZE,
            fps,
            codec="libx264",
            preset="veryfast",
            ffmpeg_params=["-crf", "20", "-movflags", "+faststart"],
        )
        encoder, frames = writer.proc, 0
        try:
            for frame in _video_frames(traces, fps):
                writer.write_frame(frame)
                frames += 1
        finally:
            writer.close()
        if encoder is not None and encoder.returncode != 0:
            raise OSError(f"the encoder stopped with code {encoder.returncode}")
    return frames


def _video_frames(traces: Sequence[Trace], fps: int) -> Iterator[np.ndarray]:
    for n, trace in enumerate(traces):
        note = f"episode {n + 1} of {len(traces)}" if len(traces) > 1 else ""
        picture = Picture(trace, note=_with_stride(note, stride(trace)))
        shown, frame = -1, np.zeros(0)
        for t in schedule(trace, fps):
            if t != shown:
                shown, frame = t, np.asarray(picture.draw(t))
            yield frame


def _with_stride(note: str, every: int) -> str:
    ending = {2: "nd", 3: "rd"}.get(every, "th")
    said = "" if every == 1 else f"every {every}{ending} step"
    return " · ".join(part for part in (note, said) if part)


def stride(trace: Trace, most: int = MOST_STEPS_SHOWN) -> int:
    """Return k: every k-th step is shown so that at most about `most` are."""
    return -(-len(trace.steps) // most)


def schedule(trace: Trace, fps: int, every: int | None = None) -> list[int]:
    """Return which step each frame of the video shows; T is the moment after the last action.

    The first step, the beginnings of decisions and the end stay longer.

    Args:
        trace: an episode of T steps.
        fps: frames a second.
        every: show every k-th step; chosen by the episode's length if None.
    """
    last = len(trace.steps)
    starts = list(decision_starts(trace))
    stops = starts if len(starts) <= _MOST_DECISION_STOPS else []
    shown = sorted({*range(0, last, every or stride(trace)), *stops, last - 1, last})
    seconds = {0: _FIRST_SECONDS, **dict.fromkeys(stops, _DECISION_SECONDS), last: _LAST_SECONDS}
    frames: list[int] = []
    for t in shown:
        frames += [t] * max(1, round(seconds.get(t, 0) * fps))
    return frames


def still(trace: Trace, t: int) -> Image.Image:
    """Return the picture of step `t`, 1280 x 720; `t` = T is after the last action.

    Raises:
        ValueError: the episode has no such step.
    """
    if not 0 <= t <= len(trace.steps):
        raise ValueError(f"the episode has steps 0 to {len(trace.steps)}, not {t}")
    return Picture(trace).draw(t)


def write_still(trace: Trace, t: int, path: Path) -> None:
    """Write the picture of step `t` as PNG, whole or not at all.

    Raises:
        ValueError: the episode has no such step, or the file cannot be written.
    """
    image = still(trace, t)
    with whole_file(path, ".png") as temporary:
        image.save(temporary, optimize=True)


def write_gif(
    trace: Trace, path: Path, *, width: int = 800, fps: int = 8, max_bytes: int = 3_000_000
) -> int:
    """Write a small, looping GIF of one episode.

    Args:
        trace: the episode.
        path: the file, written whole or not at all.
        width: of the pictures, in pixels; they are 16 by 9.
        fps: pictures a second.
        max_bytes: show fewer steps until the file is no larger.

    Returns:
        k: every k-th step is shown.

    Raises:
        ValueError: not even two pictures fit, or the file cannot be written.
    """
    every = stride(trace, 70)
    while True:
        content = _gif(trace, width, fps, every)
        if len(content) <= max_bytes:
            break
        if every >= len(trace.steps):
            raise ValueError(f"no GIF of {path} fits into {max_bytes} bytes: choose a lower width")
        every = every * 3 // 2 + 1
    with whole_file(path, ".gif") as temporary:
        temporary.write_bytes(content)
    return every


def _gif(trace: Trace, width: int, fps: int, every: int) -> bytes:
    picture = Picture(trace, note=_with_stride("", every))
    size = (width, width * SIZE[1] // SIZE[0])
    order = schedule(trace, fps, every)
    steps = sorted(set(order))
    images = [picture.draw(t).resize(size, Image.Resampling.LANCZOS) for t in steps]
    # One palette for all, or colours would shimmer; a dither would move and compress badly.
    tall = Image.new("RGB", (width, 3 * size[1]))
    for n, image in enumerate((images[0], images[len(images) // 2], images[-1])):
        tall.paste(image, (0, n * size[1]))
    palette = tall.quantize(_GIF_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    images = [i.quantize(palette=palette, dither=Image.Dither.NONE) for i in images]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[order.count(t) * 1000 // fps for t in steps],
        loop=0,
        optimize=True,
    )
    return buffer.getvalue()
