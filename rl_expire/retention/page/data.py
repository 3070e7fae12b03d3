"""The data of the memory page: a trace as compact JSON values.

Steps count from 0, as in the trace; the page displays them counted from 1.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rl_expire.retention.canvas import Colour
from rl_expire.retention.frames import Frame
from rl_expire.retention.outcome import outcome
from rl_expire.retention.trace import Trace

MIN_ATTENTION = 0.01
"""Smaller attention weights are left out."""

FLAT_COLOURS = 256
"""Frames with at most this many colours count as drawings and are stored losslessly."""

_DRAWING_SIDE, _PHOTO_SIDE = 480, 240
_PHOTO_QUALITY = 75


class Pictures:
    """Distinct frames as WebP data URIs.

    Attributes:
        uris: Data URIs by key.
    """

    def __init__(self) -> None:
        """Start without pictures."""
        self.uris: dict[str, str] = {}

    def key(self, frame: Frame) -> str:
        """Add a frame unless it is there already, and return its key in `uris`."""
        content = repr(frame.shape).encode() + np.ascontiguousarray(frame).tobytes()
        key = hashlib.blake2b(content, digest_size=8).hexdigest()
        if key not in self.uris:
            packed = base64.b64encode(_webp(frame)).decode()
            self.uris[key] = f"data:image/webp;base64,{packed}"
        return key


def _webp(frame: Frame) -> bytes:
    """Encode a frame, shrunk if large; by whole multiples, which keeps edges sharp."""
    image = Image.fromarray(frame)
    is_drawing = image.getcolors(FLAT_COLOURS) is not None
    side = _DRAWING_SIDE if is_drawing else _PHOTO_SIDE
    factor = math.ceil(max(image.size) / side)
    if factor > 1:
        image = image.reduce(factor)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=is_drawing, quality=_PHOTO_QUALITY, method=4)
    return buffer.getvalue()


def episode_data(trace: Trace, first: int, pictures: Pictures) -> dict[str, Any]:
    """Return the data of steps `first` to T - 1 of an episode of T steps.

    Args:
        trace: The episode.
        first: First step shown.
        pictures: Collects the frames.

    Returns:
        JSON values. `length` is T. The columns `taken`, `reward`, `value`, `policy` and `decision`
        have an entry for each step shown. `reward_before` is the sum of rewards before `first`.
        `observations` has those of the steps shown, and earlier ones that were still held or had
        any importance, by step; `end` is the frame after the last action. For `layers` see
        `_layer_data`. `importance` is null, or like a layer that holds nothing, with importance in
        place of attention.
    """
    shown = trace.steps[first:]
    word, colour = outcome(trace)
    layers = [_layer_data(trace, n, first) for n in range(len(trace.steps[0].layers))]
    importance = _importance_data(trace, first)
    earlier = {life[0] for layer in layers for life in layer["held"]}
    if importance is not None:
        earlier |= {step for pairs in importance["attention"][0] for step in pairs[::2]}
    observed = sorted(earlier | set(range(first, len(trace.steps))))
    has_frames = trace.steps[-1].text is None
    return {
        "env": trace.env_id,
        "seed": trace.seed,
        "greedy": trace.greedy,
        "actions": list(trace.action_names),
        "length": len(trace.steps),
        "first": first,
        "outcome": {"word": word, "colour": css(colour), "reward": number(trace.total_reward, 6)},
        "notes": left_out(trace, first),
        "reward_before": number(sum(step.reward for step in trace.steps[:first]), 6),
        "taken": [list(step.taken) for step in shown],
        "reward": [number(step.reward, 6) for step in shown],
        "value": [number(step.value, 4) for step in shown],
        "policy": [[number(p, 4) for p in step.policy.tolist()] for step in shown],
        "decision": [step.decision for step in shown],
        "observations": {str(t): _observation(trace, t, pictures) for t in observed},
        "end": {"picture": pictures.key(trace.frames[len(trace.steps)])} if has_frames else {},
        "layers": layers,
        "importance": importance,
    }


def _observation(trace: Trace, t: int, pictures: Pictures) -> dict[str, Any]:
    """Return the observation of step `t`: its text if it has one, otherwise its picture."""
    step = trace.steps[t]
    observation: dict[str, Any] = {"relevant": step.relevant}
    if step.text is not None:
        return observation | {"text": step.text}
    return observation | {"picture": pictures.key(trace.frames[t])}


def _layer_data(trace: Trace, layer: int, first: int) -> dict[str, Any]:
    """Return one layer's memories from step `first` on.

    Returns:
        `heads`: H.
        `held`: `[written, from, until, span]` of each memory, held from step `from` to `until` - 1;
        a memory whose span changes has an entry for each span. An infinite span is null.
        `fading`: for each step, `[written, mask, ...]` of the memories with a mask below 1.
        `attention`: for each head and step, `[written, weight, ...]` of the memories with a weight
        of at least `MIN_ATTENTION`. Masks and weights are in 255ths.
        `bytes`: size of the layer's memory at each step.
    """
    views = [step.layers[layer] for step in trace.steps[first:]]
    heads = len(views[0].attention)
    return {
        "heads": heads,
        "held": _lives(trace, layer, first),
        "fading": [_sparse(view.written, view.mask, view.mask < 254.5 / 255) for view in views],
        "attention": [
            [
                _sparse(view.written, view.attention[h], view.attention[h] >= MIN_ATTENTION)
                for view in views
            ]
            for h in range(heads)
        ],
        "bytes": [view.nbytes for view in views],
    }


def _importance_data(trace: Trace, first: int) -> dict[str, Any] | None:
    """Return the importance of observations from step `first` on.

    Returns:
        `every`: number of steps in a stretch; a stretch is identified by its first step.
        `heads`, `held`, `fading`, `attention`, `bytes`: those of a layer that holds nothing and
        has one head, whose attention is the importance.
    """
    if trace.importance is None:
        return None
    shares = trace.importance.shares[first:]
    starts = np.arange(len(shares[-1]), dtype=np.int64) * trace.importance.every
    return {
        "every": trace.importance.every,
        "heads": 1,
        "held": [],
        "fading": [[] for _ in shares],
        "attention": [[_sparse(starts[: len(now)], now, now >= MIN_ATTENTION) for now in shares]],
        "bytes": [0 for _ in shares],
    }


def _lives(trace: Trace, layer: int, first: int) -> list[list[Any]]:
    """Return `[written, from, until, span]` of every memory of a layer."""
    lives: list[list[Any]] = []
    latest: dict[int, list[Any]] = {}
    for t in range(first, len(trace.steps)):
        view = trace.steps[t].layers[layer]
        for written, exact in zip(view.written.tolist(), view.span.tolist(), strict=True):
            span, life = number(exact, 3), latest.get(written)
            if life is None or life[2:] != [t, span]:
                life = latest[written] = [written, t, t, span]
                lives.append(life)
            life[2] = t + 1
    return lives


def _sparse(
    written: npt.NDArray[np.int64], share: npt.NDArray[np.float32], chosen: npt.NDArray[np.bool_]
) -> list[int]:
    """Return `[written, share in 255ths, ...]` of the `chosen [K]` of K memories."""
    coded = np.rint(np.clip(np.nan_to_num(share[chosen]), 0, 1) * 255).astype(np.int64)
    return np.stack([written[chosen], coded], 1).ravel().tolist()


def left_out(trace: Trace, first: int) -> list[str]:
    """Return what a page from step `first` on leaves out of the episode, a sentence each."""
    notes, length = [], len(trace.steps)
    if trace.importance is not None and trace.importance.every > 1:
        notes.append(f"Importance is measured for {trace.importance.every} steps at a time.")
    if first:
        notes.append(
            f"Steps 1 to {first:,} are left out: the page shows the last {length - first:,} "
            f"of {length:,}."
        )
    if trace.every > 1:
        notes.append(
            f"Memory is recorded every {trace.every} steps; steps in between show the last record."
        )
    if trace.cut:
        notes.append(f"The recording stops at step {length:,}, before the end of the episode.")
    return notes


def number(value: float, digits: int) -> float | None:
    """Return `value` rounded, or None if it is not finite and so not valid JSON."""
    return round(float(value), digits) if math.isfinite(value) else None


def css(colour: Colour) -> str:
    """Return a colour in the notation of CSS."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
