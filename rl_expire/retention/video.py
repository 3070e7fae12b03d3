"""Videos, GIFs and stills of what an agent remembers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rl_expire.retention.canvas import COLOURS
from rl_expire.retention.pair import Pair, PairPicture
from rl_expire.retention.picture import SIZE, Picture
from rl_expire.retention.trace import Trace, decision_starts
from rl_expire.runs.atomic import atomic_write

Scene = Trace | Pair
"""One agent's episode, or two agents on the same episode; it is as long as the longer one."""

MAX_STEPS_SHOWN = 400
"""Of longer episodes, every k-th step is shown."""
STEPS_AT_ENDS = 24
"""Of these, as many steps at either end are all shown: what is seen first, and what is decided
last."""

_FIRST_SECONDS, _DECISION_SECONDS, _LAST_SECONDS = 1.5, 1.0, 2.0
_MAX_DECISION_STOPS = 4
_GIF_COLOURS = 64


def write_video(scenes: Sequence[Scene], path: Path, *, fps: int = 12) -> int:
    """Write one H.264 video, 1280 x 720, with the episodes one after the other.

    Args:
        scenes: The episodes.
        path: The mp4 file, written atomically.
        fps: Frames per second; in episodes of up to 400 steps, steps per second.

    Returns:
        The number of frames written.

    Raises:
        ValueError: `scenes` is empty, `fps` is below 1, there is no FFmpeg, or the file cannot be
            written.
    """
    if not scenes:
        raise ValueError("scenes is empty: give one or more")
    if fps < 1:
        raise ValueError(f"fps is {fps}: choose 1 or more")
    with atomic_write(path, ".mp4") as temporary:
        writer = _writer(temporary, fps)
        encoder, frames = writer.proc, 0
        try:
            for frame in _video_frames(scenes, fps):
                writer.write_frame(frame)
                frames += 1
        finally:
            writer.close()
        if encoder is not None and encoder.returncode != 0:
            raise OSError(f"FFmpeg exited with code {encoder.returncode}")
    return frames


def _writer(path: Path, fps: int) -> Any:
    """Start FFmpeg, which encodes the frames that it is given.

    Raises:
        ValueError: it cannot be started.
    """
    try:
        # Imported here, since moviepy looks for FFmpeg when it is imported.
        from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter

        return FFMPEG_VideoWriter(
            str(path),
            SIZE,
            fps,
            codec="libx264",
            preset="veryfast",
            ffmpeg_params=["-crf", "20", "-movflags", "+faststart"],
        )
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"FFmpeg cannot be started ({reason}): install it") from error


def _video_frames(scenes: Sequence[Scene], fps: int) -> Iterator[np.ndarray]:
    """Yield the frames of a video, uint8 `[720, 1280, 3]`."""
    for n, scene in enumerate(scenes):
        note = f"episode {n + 1} of {len(scenes)}" if len(scenes) > 1 else ""
        picture = _picture(scene, _with_stride(note, stride(scene)))
        shown, frame = -1, np.zeros(0)
        for t in schedule(scene, fps):
            if t != shown:
                shown, frame = t, np.asarray(picture.draw(t))
            yield frame


def _with_stride(note: str, every: int) -> str:
    """Add to a note that every k-th step is shown."""
    stride_note = "" if every == 1 else f"every {ordinal(every)} step"
    return " · ".join(part for part in (note, stride_note) if part)


def _traces(scene: Scene) -> tuple[Trace, ...]:
    """Return the one or two traces of a scene."""
    return scene.traces if isinstance(scene, Pair) else (scene,)


def _picture(scene: Scene, note: str = "") -> Picture | PairPicture:
    """Return what draws the steps of a scene."""
    if isinstance(scene, Pair):
        return PairPicture(scene, note=note)
    return Picture(scene, note=note)


def duration(scene: Scene) -> int:
    """Return T, the length of the longer episode in steps."""
    return max(len(trace.steps) for trace in _traces(scene))


def stride(scene: Scene, max_steps: int = MAX_STEPS_SHOWN) -> int:
    """Return k such that every k-th step makes about `max_steps` or fewer, all recorded in full."""
    return _recorded_stride(scene, -(-duration(scene) // max_steps))


def _recorded_stride(scene: Scene, every: int) -> int:
    """Return the first k from `every` on such that every k-th step was recorded in full."""
    fine = max(trace.every for trace in _traces(scene))  # powers of 2
    return -(-every // fine) * fine


def left_out(scene: Scene) -> list[str]:
    """Return what the video leaves out of an episode, a sentence each."""
    notes, seed, every = [], _traces(scene)[0].seed, stride(scene)
    if every > 1:
        notes.append(
            f"seed {seed}: the video shows every {ordinal(every)} of {duration(scene):,} steps, "
            f"the first and last {STEPS_AT_ENDS}, and the start of each decision"
        )
    for trace in _traces(scene):
        if trace.every > 1:
            notes.append(f"seed {seed}: memory is recorded every {ordinal(trace.every)} step")
        if trace.importance is not None and trace.importance.every > 1:
            at_a_time = trace.importance.every
            notes.append(f"seed {seed}: importance is measured for {at_a_time} steps at a time")
        if trace.cut:
            notes.append(
                f"seed {seed}: not over after {len(trace.steps):,} steps; it counts as not solved, "
                "and no more is recorded"
            )
    return notes


def ordinal(number: int) -> str:
    """Return 2nd, 3rd, 4th, ..."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def schedule(scene: Scene, fps: int) -> list[int]:
    """Return the step that each frame of the video shows; T is after the last action.

    The first step, the start of each decision and the end are shown for longer.

    Args:
        scene: An episode of T steps.
        fps: Frames per second.
    """
    last = duration(scene)
    ends = [*range(STEPS_AT_ENDS), *range(last - STEPS_AT_ENDS, last)]
    return _schedule(scene, fps, stride(scene), [t for t in ends if _recorded(scene, t)])


def _recorded(scene: Scene, t: int) -> bool:
    """Return whether step `t` was recorded in full in each episode that has it."""
    known = [trace.steps[t] for trace in _traces(scene) if 0 <= t < len(trace.steps)]
    return bool(known) and all(step.recorded for step in known)


def _schedule(scene: Scene, fps: int, every: int, more: Sequence[int]) -> list[int]:
    """Return the schedule that shows every k-th step, and `more` steps."""
    last = duration(scene)
    starts = sorted({t for trace in _traces(scene) for t in decision_starts(trace)})
    stops = starts if len(starts) <= _MAX_DECISION_STOPS else []
    shown = sorted({*range(0, last, every), *more, *stops, last - 1, last})
    seconds = {0: _FIRST_SECONDS, **dict.fromkeys(stops, _DECISION_SECONDS), last: _LAST_SECONDS}
    frames: list[int] = []
    for t in shown:
        frames += [t] * max(1, round(seconds.get(t, 0) * fps))
    return frames


def still(scene: Scene, t: int) -> Image.Image:
    """Return the picture of step `t`, 1280 x 720; `t` = T is after the last action.

    Raises:
        ValueError: The episode has no such step.
    """
    last = duration(scene)
    if not 0 <= t <= last:
        raise ValueError(f"the episode has steps 0 to {last}, not {t}")
    return _picture(scene).draw(t)


def write_still(scene: Scene, t: int, path: Path) -> None:
    """Write the picture of step `t` as a PNG file, atomically.

    Raises:
        ValueError: The episode has no such step, or the file cannot be written.
    """
    image = still(scene, t)
    with atomic_write(path, ".png") as temporary:
        image.save(temporary, optimize=True)


def write_gif(
    scene: Scene, path: Path, *, width: int = 800, fps: int = 8, max_bytes: int = 3_000_000
) -> int:
    """Write a small, looping GIF of one episode.

    Args:
        scene: The episode.
        path: The file, written atomically.
        width: Width of the pictures, in pixels; they are 16 by 9.
        fps: Pictures per second.
        max_bytes: Maximum size of the file; fewer steps are shown to meet it.

    Returns:
        k: every k-th step is shown.

    Raises:
        ValueError: Not even two pictures fit, or the file cannot be written.
    """
    every = stride(scene, 70)
    while True:
        content = _gif(scene, width, fps, every)
        if len(content) <= max_bytes:
            break
        if every >= duration(scene):
            raise ValueError(f"{path} does not fit into {max_bytes} bytes: choose a smaller width")
        every = _recorded_stride(scene, every * 3 // 2 + 1)
    with atomic_write(path, ".gif") as temporary:
        temporary.write_bytes(content)
    return every


def _palette(sample: Image.Image) -> Image.Image:
    """Return a palette with the pictures' own colours unchanged, and further ones of `sample`."""
    rest = sample.quantize(_GIF_COLOURS - len(COLOURS), method=Image.Quantize.MAXCOVERAGE)
    palette = Image.new("P", (1, 1))
    colours = [part for colour in COLOURS for part in colour] + (rest.getpalette() or [])
    palette.putpalette(colours[: 3 * _GIF_COLOURS])
    return palette


def _gif(scene: Scene, width: int, fps: int, every: int) -> bytes:
    """Return the content of a GIF file that shows every k-th step."""
    picture = _picture(scene, _with_stride("", every))
    size = (width, width * SIZE[1] // SIZE[0])
    order = _schedule(scene, fps, every, ())
    steps = sorted(set(order))
    images = [picture.draw(t).resize(size, Image.Resampling.LANCZOS) for t in steps]
    # A shared palette keeps colours steady; dithering would flicker and compress badly.
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
