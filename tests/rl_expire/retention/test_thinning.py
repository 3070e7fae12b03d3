"""A long episode is recorded at larger intervals within the memory budget, and never wrongly."""

from __future__ import annotations

import numpy as np

from rl_expire.retention.thinning import ThinnedRecording
from rl_expire.retention.trace import Trace, TracedStep
from rl_expire.retention.video import schedule
from tests.traces import random_trace


def recorded(trace: Trace, max_bytes: int) -> ThinnedRecording:
    """Record the steps of a trace anew."""
    recording = ThinnedRecording(max_bytes)
    for t, step in enumerate(trace.steps):
        recording.frames.append(trace.frames[t])
        recording.add(step)
    recording.frames.append(trace.frames[len(trace.steps)])
    return recording


def memory_bytes(steps: list[TracedStep]) -> int:
    """Return the size of the distinct memories in some steps."""
    return sum({id(s.layers): sum(n.trace_nbytes for n in s.layers) for s in steps}.values())


def begins(trace: Trace, t: int) -> bool:
    """Return whether a decision or a run of relevant observations begins at step `t`."""
    step, before = trace.steps[t], trace.steps[max(0, t - 1)]
    return bool((step.decision and not before.decision) or (step.relevant and not before.relevant))


def test_everything_is_recorded_within_the_budget() -> None:
    trace = random_trace(60)
    recording = recorded(trace, 1_000_000)
    assert recording.every == 1
    assert recording.steps == list(trace.steps)


def test_steps_between_recorded_ones_repeat_the_last_frame_and_memories() -> None:
    trace = random_trace(61)
    size = memory_bytes(list(trace.steps)) + trace.frames.nbytes
    recording = recorded(trace, size // 5)
    assert recording.every in (4, 8, 16)
    assert len(recording.steps) == len(trace.steps)
    source = 0
    for t, (step, original) in enumerate(zip(recording.steps, trace.steps, strict=True)):
        source = t if step.recorded else source
        if begins(trace, t) or t % recording.every == 0 or t == len(trace.steps) - 1:
            assert step.recorded
        np.testing.assert_array_equal(recording.frames[t], trace.frames[source])
        assert step.layers is trace.steps[source].layers
        assert (step.taken, step.reward, step.value) == (
            original.taken,
            original.reward,
            original.value,
        )
        assert (step.decision, step.relevant) == (original.decision, original.relevant)
    assert memory_bytes(recording.steps) + recording.frames.nbytes <= size // 5 + size // 20


def test_a_video_shows_only_recorded_steps() -> None:
    trace = random_trace(61)
    recording = recorded(trace, memory_bytes(list(trace.steps)) // 5)
    thinned = Trace(
        **vars(trace)
        | {
            "steps": tuple(recording.steps),
            "frames": recording.frames,
            "every": recording.every,
        }
    )
    assert not all(step.recorded for step in thinned.steps)
    shown = {t for t in schedule(thinned, 12) if t < len(thinned.steps)}
    assert all(thinned.steps[t].recorded for t in shown)
