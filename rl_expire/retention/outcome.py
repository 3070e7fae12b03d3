"""The outcome of an episode in a word or two."""

from __future__ import annotations

from rl_expire.retention.canvas import BAD, DIM, GOOD, TEXT, Colour
from rl_expire.retention.trace import Trace


def outcome(trace: Trace) -> tuple[str, Colour]:
    """Return the outcome of an episode, and its colour."""
    if trace.cut:
        return "Cut short", DIM
    if trace.success:
        return "Success", GOOD
    if trace.truncated:
        return "Out of time", BAD
    if trace.success is None:
        return "Episode over", TEXT
    return "Failure", BAD
