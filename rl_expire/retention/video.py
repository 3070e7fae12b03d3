"""Videos, GIFs and stills of what an agent remembers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter
from PIL import Image

from rl_expire.retention.canvas import COLOURS
from rl_expire.retention.pair import Pair, PairPicture
from rl_expire.retention.picture import SIZE, Picture
from rl_expire.retention.trace import Trace, decision_starts
from rl_expire.runs.atomic import atomic_write

Scene = Trace | Pair
"""What can be shown: an episode, or the same episode of two agents; it is as long as the longer."""

MOST_STEPS_SHOWN = 400
"""Longer episodes are shown every k-th step."""

_FIRST_SECONDS, _DECISION_SECONDS, _LAST_SECONDS = 1.5, 1.0, 2.0
_MOST_DECISION_STOPS = 4
_GIF_COLOURS = 64


def write_video(scenes: Sequence[Scene], path: Path, *, fps: int = 12) -> int:
    """Write one H.264 video of 1280 x 720 with the episodes one after the other.

    Args:
        scenes: the episodes.
        path: the mp4 file; it is replaced only once the new one is complete.
        fps: frames a second: steps a second in episodes of up to 400 steps.

    Returns:
        The number of frames written.

    Raises:
        ValueError: there is nothing to show, `fps` is below 1, or the file cannot be written.
    """
    if not scenes:
        raise ValueError("--seeds is empty: give one or more")
    if fps < 1:
        raise ValueError(f"--fps is {fps}: choose 1 or more")
    with atomic_write(path, ".mp4") as temporary:
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
            for frame in _video_frames(scenes, fps):
                writer.write_frame(frame)
                frames += 1
        finally:
            writer.close()
        if encoder is not None and encoder.returncode != 0:
            raise OSError(f"the encoder stopped with code {encoder.returncode}")
    return frames


def _video_frames(scenes: Sequence[Scene], fps: int) -> Iterator[np.ndarray]:
    for n, scene in enumerate(scenes):
        note = f"episode {n + 1} of {len(scenes)}" if len(scenes) > 1 else ""
        picture = _picture(scene, _with_stride(note, stride(scene)))
        shown, frame = -1, np.zeros(0)
        for t in schedule(scene, fps):
            if t != shown:
                shown, frame = t, np.asarray(picture.draw(t))
            yield frame


def _with_stride(note: str, every: int) -> str:
    said = "" if every == 1 else f"every {nth(every)} step"
    return " · ".join(part for part in (note, said) if part)


def _traces(scene: Scene) -> tuple[Trace, ...]:
    return scene.traces if isinstance(scene, Pair) else (scene,)


def _picture(scene: Scene, note: str = "") -> Picture | PairPicture:
    if isinstance(scene, Pair):
        return PairPicture(scene, note=note)
    return Picture(scene, note=note)


def duration(scene: Scene) -> int:
    """Return T, the steps of the longest episode."""
    return max(len(trace.steps) for trace in _traces(scene))


def stride(scene: Scene, most: int = MOST_STEPS_SHOWN) -> int:
    """Return k: every k-th step is shown so that at most about `most` are, all noted in full."""
    return _noted(scene, -(-duration(scene) // most))


def _noted(scene: Scene, every: int) -> int:
    """Return the next k from `every` on for which every k-th step was noted in full."""
    fine = max(trace.every for trace in _traces(scene))  # powers of 2
    return -(-every // fine) * fine


def left_out(scene: Scene) -> list[str]:
    """Say what of an episode the video does not show, a sentence each."""
    notes, seed, every = [], _traces(scene)[0].seed, stride(scene)
    if every > 1:
        notes.append(
            f"seed {seed}: of {duration(scene):,} steps the video shows every {nth(every)}, "
            "and where decisions begin"
        )
    for trace in _traces(scene):
        if trace.every > 1:
            notes.append(f"seed {seed}: the memory was noted every {nth(trace.every)} step")
        if trace.importance is not None and trace.importance.every > 1:
            notes.append(f"seed {seed}: importance is that of {trace.importance.every} steps each")
        if trace.cut:
            notes.append(f"seed {seed}: what came after step {len(trace.steps):,} is left out")
    return notes


def nth(number: int) -> str:
    """Return 2nd, 3rd, 4th, ..."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def schedule(scene: Scene, fps: int, every: int | None = None) -> list[int]:
    """Return which step each frame of the video shows; T is the moment after the last action.

    The first step, the beginnings of decisions and the end stay longer.

    Args:
        scene: an episode of T steps.
        fps: frames a second.
        every: show every k-th step; chosen by the episode's length if None.
    """
    last = duration(scene)
    starts = sorted({t for trace in _traces(scene) for t in decision_starts(trace)})
    stops = starts if len(starts) <= _MOST_DECISION_STOPS else []
    shown = sorted({*range(0, last, every or stride(scene)), *stops, last - 1, last})
    seconds = {0: _FIRST_SECONDS, **dict.fromkeys(stops, _DECISION_SECONDS), last: _LAST_SECONDS}
    frames: list[int] = []
    for t in shown:
        frames += [t] * max(1, round(seconds.get(t, 0) * fps))
    return frames


def still(scene: Scene, t: int) -> Image.Image:
    """Return the picture of step `t`, 1280 x 720; `t` = T is after the last action.

    Raises:
        ValueError: the episode has no such step.
    """
    last = duration(scene)
    if not 0 <= t <= last:
        raise ValueError(f"the episode has steps 0 to {last}, not {t}")
    return _picture(scene).draw(t)


def write_still(scene: Scene, t: int, path: Path) -> None:
    """Write the picture of step `t` as PNG, whole or not at all.

    Raises:
        ValueError: the episode has no such step, or the file cannot be written.
    """
    image = still(scene, t)
    with atomic_write(path, ".png") as temporary:
        image.save(temporary, optimize=True)


def write_gif(
    scene: Scene, path: Path, *, width: int = 800, fps: int = 8, max_bytes: int = 3_000_000
) -> int:
    """Write a small, looping GIF of one episode.

    Args:
        scene: the episode.
        path: the file, written whole or not at all.
        width: of the pictures, in pixels; they are 16 by 9.
        fps: pictures a second.
        max_bytes: show fewer steps until the file is no larger.

    Returns:
        k: every k-th step is shown.

    Raises:
        ValueError: not even two pictures fit, or the file cannot be written.
    """
    every = stride(scene, 70)
    while True:
        content = _gif(scene, width, fps, every)
        if len(content) <= max_bytes:
            break
        if every >= duration(scene):
            raise ValueError(f"no GIF of {path} fits into {max_bytes} bytes: choose a lower width")
        every = _noted(scene, every * 3 // 2 + 1)
    with atomic_write(path, ".gif") as temporary:
        temporary.write_bytes(content)
    return every


def _palette(sample: Image.Image) -> Image.Image:
    """Return a palette that has the colours with a meaning as they are, and others of `sample`."""
    rest = sample.quantize(_GIF_COLOURS - len(COLOURS), method=Image.Quantize.MAXCOVERAGE)
    palette = Image.new("P", (1, 1))
    colours = [part for colour in COLOURS for part in colour] + (rest.getpalette() or [])
    palette.putpalette(colours[: 3 * _GIF_COLOURS])
    return palette


def _gif(scene: Scene, width: int, fps: int, every: int) -> bytes:
    picture = _picture(scene, _with_stride("", every))
    size = (width, width * SIZE[1] // SIZE[0])
    order = schedule(scene, fps, every)
    steps = sorted(set(order))
    images = [picture.draw(t).resize(size, Image.Resampling.LANCZOS) for t in steps]
    # One palette for all, or colours would shimmer; a dither would move and compress badly.
    tall = Image.new("RGB", (width, 3 * size[1]))
    for n, image in enumerate((images[0], images[len(images) // 2], images[-1])):
        tall.paste(image, (0, n * size[1]))
    palette = _palette(tall)
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
