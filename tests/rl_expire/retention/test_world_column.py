"""The world column has room for its labels, whatever the number of actions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rl_expire.retention import world_column
from rl_expire.retention.frames import Frames
from rl_expire.retention.picture import Picture
from rl_expire.retention.trace import Trace
from tests.traces import random_trace


def trace_of(actions: int, frame: tuple[int, int], taken: int) -> Trace:
    """Return an episode with frames `[height, width]` whose last actions are the most likely."""
    trace = random_trace(3)
    policy = np.arange(1, actions + 1, dtype=np.float32)
    policy /= policy.sum()
    frames = Frames()
    for _ in range(4):
        frames.append(np.zeros((*frame, 3), np.uint8))
    return replace(
        trace,
        action_names=tuple(f"action {n}" for n in range(actions)),
        frames=frames,
        steps=tuple(replace(step, policy=policy, taken=(taken,)) for step in trace.steps),
    )


@pytest.mark.parametrize(
    ("actions", "frame"),
    [(2, (50, 50)), (4, (50, 50)), (5, (50, 50)), (12, (50, 50)), (7, (20, 90))],
    ids=["2", "4", "5", "12", "7, flat"],
)
def test_no_label_covers_another(
    actions: int, frame: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, float, float]] = []
    real = world_column.write

    def write(draw: Any, at: tuple[float, float], text: str, size: int, *more: Any) -> float:
        if at[0] == 28:  # pixels; the left edge of names and labels
            lines.append((text, at[1] - size, at[1]))
        return real(draw, at, text, size, *more)

    monkeypatch.setattr(world_column, "write", write)
    Picture(trace_of(actions, frame, taken=0)).draw(1)
    shown = [text for text, _, _ in lines if text.startswith("action ")]
    assert "action 0" in shown, "the action taken is always shown"
    assert f"action {actions - 1}" in shown, "the most likely action is always shown"
    assert any("reward" in text for text, _, _ in lines)
    lines.sort(key=lambda line: line[2])
    for (above, _, bottom), (below, top, _) in pairwise(lines):
        assert bottom <= top + 6, f"{above!r} and {below!r}"
