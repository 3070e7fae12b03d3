"""Recording an episode of any length in bounded memory, by thinning out what is recorded."""

from __future__ import annotations

from dataclasses import replace

from rl_expire.retention.frames import Frames
from rl_expire.retention.trace import TracedStep


class ThinnedRecording:
    """The steps and frames of an episode so far, every k-th recorded in full.

    k starts at 1 and doubles whenever frames and memories exceed the budget. Steps in between share
    the frame and the memories of the last recorded step. Steps at which a decision or a run of
    relevant observations begins are always recorded.

    Attributes:
        every: k.
        frames: Frames so far.
        steps: Steps so far.
    """

    def __init__(self, max_bytes: int):
        """Start an empty recording.

        Args:
            max_bytes: Approximate budget for frames and memories.
        """
        self.every = 1
        self.frames = Frames()
        self.steps: list[TracedStep] = []
        self._max_bytes, self._nbytes = max_bytes, 0
        self._last_recorded = 0

    def add(self, step: TracedStep) -> None:
        """Add a step whose frame has been added already; it stays in full until the next one."""
        if self.steps:
            self._settle(len(self.steps) - 1)
        self.steps.append(step)
        while self._nbytes > self._max_bytes and self.every < len(self.steps):
            self.every *= 2
            self._nbytes = 0
            for t in range(len(self.steps) - 1):
                self._settle(t)

    def _settle(self, t: int) -> None:
        """Keep the frame and memories of step `t`, or replace them by the last recorded ones."""
        step, before = self.steps[t], self.steps[max(0, t - 1)]
        decision_begins = step.decision and not before.decision
        relevance_begins = step.relevant and not before.relevant
        if decision_begins or relevance_begins or t % self.every == 0:
            self._last_recorded = t
            layers = sum(layer.trace_nbytes for layer in step.layers)
            self._nbytes += self.frames.nbytes_of(t) + layers
        else:
            layers = self.steps[self._last_recorded].layers
            self.steps[t] = replace(step, layers=layers, recorded=False)
            self.frames.repeat(t, self._last_recorded)
