"""An episode as the retention page gets it: a trace in plain JSON values, small enough to send.

Steps count from 0, as in the trace; the page shows them counted from 1.
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
from rl_expire.retention.trace import Frame, Trace, TracedStep
from rl_expire.retention.world import outcome

LEAST_ATTENTION = 0.01
"""Smaller shares of a head's attention are left out."""

FLAT_COLOURS = 256
"""Frames of at most so many colours are drawn ones: they are kept exactly as they are."""

_DRAWN_SIDE, _FILMED_SIDE = 480, 240
_FILMED_QUALITY = 75


class Pictures:
    """Frames as WebP data URIs, each distinct one once.

    Attributes:
        uris: the picture of each key.
    """

    def __init__(self) -> None:
        self.uris: dict[str, str] = {}

    def key(self, frame: Frame) -> str:
        """Keep a frame, uint8 `[height, width, 3]`, and return its key in `uris`."""
        content = repr(frame.shape).encode() + np.ascontiguousarray(frame).tobytes()
        key = hashlib.blake2b(content, digest_size=8).hexdigest()
        if key not in self.uris:
            packed = base64.b64encode(_webp(frame)).decode()
            self.uris[key] = f"data:image/webp;base64,{packed}"
        return key


def _webp(frame: Frame) -> bytes:
    """Return a frame of a sensible size; shrunk by whole multiples, which keeps edges sharp."""
    image = Image.fromarray(frame)
    drawn = image.getcolors(FLAT_COLOURS) is not None
    side = _DRAWN_SIDE if drawn else _FILMED_SIDE
    factor = math.ceil(max(image.size) / side)
    if factor > 1:
        image = image.reduce(factor)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=drawn, quality=_FILMED_QUALITY, method=4)
    return buffer.getvalue()


def episode_data(trace: Trace, first: int, pictures: Pictures) -> dict[str, Any]:
    """Return what the page shows of the steps `first` to T - 1 of an episode of T steps.

    Args:
        trace: the episode.
        first: the first step shown.
        pictures: takes the frames.

    Returns:
        JSON values. `length` is T; the columns `action`, `reward`, `value`, `policy`, `decision`
        and `sight` have an entry for each step shown. `end` is the world after the last action.
        `sights` are the observations: those of the steps shown, and the earlier ones that some
        layer still held or that mattered. `layers` is described at `_layer_data`; `importance` is
        null, or like a layer: shares of importance in place of attention, and nothing held.
    """
    shown = trace.steps[first:]
    word, colour = outcome(trace)
    layers = [_layer_data(trace, n, first) for n in range(len(trace.steps[0].layers))]
    importance = _importance_data(trace, first)
    told = {life[0] for layer in layers for life in layer["held"]}
    if importance is not None:
        told |= {step for pairs in importance["attention"][0] for step in pairs[::2]}
    seen = sorted(told | set(range(first, len(trace.steps))))
    wordless = trace.steps[-1].text is None
    return {
        "env": trace.env_id,
        "seed": trace.seed,
        "greedy": trace.greedy,
        "actions": list(trace.action_names),
        "length": len(trace.steps),
        "first": first,
        "outcome": {"word": word, "colour": css(colour), "reward": number(trace.total_reward, 6)},
        "notes": left_out(trace, first),
        "earned": number(sum(step.reward for step in trace.steps[:first]), 6),
        "action": [step.action for step in shown],
        "reward": [number(step.reward, 6) for step in shown],
        "value": [number(step.value, 4) for step in shown],
        "policy": [[number(p, 4) for p in step.policy.tolist()] for step in shown],
        "decision": [step.decision for step in shown],
        "sights": {str(t): _sight(trace, t, pictures) for t in seen},
        "end": {"picture": pictures.key(trace.frames[len(trace.steps)])} if wordless else {},
        "layers": layers,
        "importance": importance,
    }


def _sight(trace: Trace, t: int, pictures: Pictures) -> dict[str, Any]:
    """Return the observation of step `t`: words where the environment has them, or a picture."""
    step: TracedStep = trace.steps[t]
    sight: dict[str, Any] = {"relevant": step.relevant}
    if step.text is not None:
        return sight | {"text": step.text}
    return sight | {"picture": pictures.key(trace.frames[t])}


def _layer_data(trace: Trace, layer: int, first: int) -> dict[str, Any]:
    """Return one layer's memories from step `first` on.

    Returns:
        `heads`: H. `held`: the memories as `[written, from, until, span]`, held from step `from`
        to `until` - 1; a memory whose span changes has an entry for each. A span that never ends is
        null. `fading`: for each step, `[written, mask, ...]` of the memories that count less than
        fully. `attention`: for each head and step, `[written, share, ...]` of those that get at
        least `LEAST_ATTENTION`. Masks and shares are in 255ths. `bytes`: of the layer's memory at
        each step.
    """
    views = [step.layers[layer] for step in trace.steps[first:]]
    heads = len(views[0].attention)
    return {
        "heads": heads,
        "held": _lives(trace, layer, first),
        "fading": [_sparse(view.written, view.mask, view.mask < 254.5 / 255) for view in views],
        "attention": [
            [
                _sparse(view.written, view.attention[h], view.attention[h] >= LEAST_ATTENTION)
                for view in views
            ]
            for h in range(heads)
        ],
        "bytes": [view.nbytes for view in views],
    }


def _importance_data(trace: Trace, first: int) -> dict[str, Any] | None:
    """Return what mattered from step `first` on; a stretch goes by its first step.

    Returns:
        `every`: the steps in a stretch. `heads`, `held`, `fading`, `attention`, `bytes`: as if a
        layer held nothing, and one head paid attention to what mattered.
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
        "attention": [[_sparse(starts[: len(now)], now, now >= LEAST_ATTENTION) for now in shares]],
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
    """Return `[written, share in 255ths, ...]` of the chosen ones of K memories."""
    coded = np.rint(np.clip(np.nan_to_num(share[chosen]), 0, 1) * 255).astype(np.int64)
    return np.stack([written[chosen], coded], 1).ravel().tolist()


def left_out(trace: Trace, first: int) -> list[str]:
    """Say what of the episode is missing on a page that begins at step `first`."""
    notes, length = [], len(trace.steps)
    if trace.importance is not None and trace.importance.every > 1:
        notes.append(f"Importance is that of {trace.importance.every} steps at a time.")
    if first:
        notes.append(
            f"Steps 1 to {first:,} are left out: the page shows the last {length - first:,} "
            f"of {length:,}."
        )
    if trace.every > 1:
        notes.append(
            f"The memory was noted every {trace.every} steps: in between is what was last noted."
        )
    if trace.cut:
        notes.append(f"The episode went on after step {length:,}, but was not recorded further.")
    return notes


def number(value: float, digits: int) -> float | None:
    """Return `value` rounded; None if it is not finite, which JSON has no number for."""
    return round(float(value), digits) if math.isfinite(value) else None


def css(colour: Colour) -> str:
    """Return a colour as style sheets write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
