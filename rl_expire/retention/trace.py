"""The trace of one episode: observations, actions, and the agent's memory at every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rl_expire.retention.frames import Frames
from rl_expire.retention.importance import Importance

_ARRAY_BYTES = 112
"""Size of a NumPy array's header."""


@dataclass(frozen=True)
class HeldMemories:
    """The K memories of one layer that attention could reach at one step, oldest first.

    Free slots and forgotten memories are not included.

    Attributes:
        written: `[K]` int64, the step of the episode at which each memory was written.
        span: `[K]` float32, the lifetime of each memory, in steps.
        remaining: `[K]` float32, the remaining lifetime; below 0 while the memory fades out.
        mask: `[K]` float32 in (0, 1], the factor by which the fade scales attention.
        attention: `[H, K]` float32, the attention of each head; each row sums to 1.
        nbytes: Size of this layer's memory tensors in bytes, free slots included.
    """

    written: npt.NDArray[np.int64]
    span: npt.NDArray[np.float32]
    remaining: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    attention: npt.NDArray[np.float32]
    nbytes: int

    def __len__(self) -> int:
        """Return K."""
        return len(self.written)

    @property
    def trace_nbytes(self) -> int:
        """Size of this record itself, in bytes."""
        arrays = (self.written, self.span, self.remaining, self.mask, self.attention)
        return sum(array.nbytes + _ARRAY_BYTES for array in arrays)


@dataclass(frozen=True)
class TracedStep:
    """One step of an episode.

    Attributes:
        taken: The bars of `policy` that the action taken belongs to: a discrete action has one.
        reward: The reward that followed.
        value: The agent's value estimate of the observation it acted on.
        policy: `[A]` float32, a bar for each action, or for each part of one; see
            `action_bars.bars`.
        relevant: Whether this observation is needed later (`info["rl_expire.relevant"]`); None
            without it.
        decision: Whether the right action depends on memory now (`info["rl_expire.decision"]`);
            None without it.
        text: The observation in words (`info["rl_expire.text"]`); None without it.
        layers: The memory of each layer when the agent acted; empty for an agent without per-step
            memories.
        recorded: Whether `layers` and the frame belong to this step; otherwise they are those of
            the last recorded step.
    """

    taken: tuple[int, ...]
    reward: float
    value: float
    policy: npt.NDArray[np.float32]
    relevant: bool | None
    decision: bool | None
    text: str | None
    layers: tuple[HeldMemories, ...]
    recorded: bool = True


@dataclass(frozen=True)
class Trace:
    """One episode of T steps.

    Attributes:
        env_id: The environment's id, or its class name if it has none.
        seed: Seed of the environment's reset, and of the actions if they were sampled.
        greedy: Whether the most likely actions were taken.
        action_names: A names.
        frames: T + 1 frames: one before each action, and one after the last.
        steps: T steps.
        total_reward: Undiscounted sum of rewards.
        success: Whether the episode succeeded; None if nothing says so.
        terminated: Whether the episode ended in a terminal state.
        truncated: Whether the environment cut the episode off.
        cut: Whether tracing stopped at its step limit before the episode was over.
        importance: Importance of each observation at each step, for an agent whose `layers` are
            empty.
        every: k: every k-th step is recorded in full, as are the last step and the steps at which a
            decision or a run of relevant observations begins.
    """

    env_id: str
    seed: int
    greedy: bool
    action_names: tuple[str, ...]
    frames: Frames
    steps: tuple[TracedStep, ...]
    total_reward: float
    success: bool | None
    terminated: bool
    truncated: bool
    cut: bool
    importance: Importance | None = None
    every: int = 1


def kept_counts(trace: Trace) -> npt.NDArray[np.int64]:
    """Return `[T, N]`, the number of memories that each layer held at each step."""
    rows = [[len(layer) for layer in step.layers] for step in trace.steps]
    return np.array(rows, np.int64).reshape(len(trace.steps), -1)


def relevant_steps(trace: Trace) -> npt.NDArray[np.bool_]:
    """Return `[T]`, which observations are needed later; all false if the environment is silent."""
    return np.array([bool(step.relevant) for step in trace.steps])


def is_flagged(trace: Trace) -> bool:
    """Return whether the environment says which observations are needed later."""
    return any(step.relevant is not None for step in trace.steps)


def decision_starts(trace: Trace) -> Iterator[int]:
    """Yield the steps at which a decision begins."""
    before = False
    for t, step in enumerate(trace.steps):
        if step.decision and not before:
            yield t
        before = bool(step.decision)
