"""Random traces for tests, in which no two steps are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rl_expire.retention.frames import Frames
from rl_expire.retention.importance import Importance
from rl_expire.retention.trace import HeldMemories, Trace, TracedStep

RAMP = 4.0


def random_trace(
    length: int,
    *,
    layers: int = 1,
    heads: int = 2,
    longest: float = 30.0,
    texts: Sequence[str] | None = None,
    seed: int = 0,
    **about: object,
) -> Trace:
    """Return an episode in which memories have random lifetimes and fade over `RAMP` steps.

    The first observation is relevant and kept to the end; the last step is a decision.

    Args:
        length: Number of steps, T.
        layers: Number of layers, N.
        heads: Number of attention heads, H.
        longest: Longest lifetime of the other memories, in steps.
        texts: Observations in words, repeated in order; None for an environment without words.
        seed: Seed of everything random.
        **about: Further attributes of the trace.
    """
    rng = np.random.default_rng(seed)
    spans = rng.uniform(0, longest, (layers, length)).astype(np.float32)
    spans[:, 0] = 2 * length
    frames, steps = Frames(), []
    for t in range(length + 1):
        frames.append(drawn_frame(t))
    for t in range(length):
        held = tuple(_held(spans[n], t, heads, rng) for n in range(layers))
        steps.append(
            TracedStep(
                taken=(t % 3,),
                reward=float(t % 2),
                value=float(rng.normal()),
                policy=rng.dirichlet(np.ones(3)).astype(np.float32),
                relevant=t == 0,
                decision=t == length - 1,
                text=texts[t % len(texts)] if texts else None,
                layers=held,
            )
        )
    given = {"env_id": "Made-up", "seed": seed, "greedy": True, "cut": False} | about
    return Trace(
        action_names=("left", "right", "forward"),
        frames=frames,
        steps=tuple(steps),
        total_reward=float(length // 2),
        success=True,
        terminated=True,
        truncated=False,
        **given,  # pyright: ignore[reportArgumentType]
    )


def weighed_trace(length: int, *, every: int = 1, seed: int = 0, **about: object) -> Trace:
    """Return an episode of an agent without memories.

    The first observation always has importance 1, the others a random one, mostly small.

    Args:
        length: Number of steps, T.
        every: Number of consecutive steps whose importance is measured together.
        seed: Seed of everything random.
        **about: Further attributes of the trace.
    """
    rng = np.random.default_rng(seed)
    shares = []
    for t in range(length):
        now = (rng.uniform(0, 1, t // every + 1) ** 8).astype(np.float32)
        now[0] = 1
        shares.append(now)
    trace = random_trace(length, layers=0, seed=seed, **about)  # pyright: ignore[reportArgumentType]
    return replace(trace, importance=Importance(every, tuple(shares)))


def drawn_frame(t: int) -> np.ndarray:
    """Return a frame of few colours, different at each step."""
    frame = np.zeros((20, 40, 3), np.uint8)
    frame[: t % 20, :, 0] = 200
    frame[:, : t // 20 % 40, 1] = 100
    frame[:, :, 2] = t // 800
    return frame


def _held(spans: np.ndarray, t: int, heads: int, rng: np.random.Generator) -> HeldMemories:
    """Return the memories with `spans [T]` that one layer holds at step `t`."""
    remaining = spans[: t + 1] - (t - np.arange(t + 1, dtype=np.float32))
    remaining[t] = max(remaining[t], 0)
    written = np.flatnonzero(remaining > -RAMP)
    left = remaining[written]
    return HeldMemories(
        written=written,
        span=left + (t - written).astype(np.float32),
        remaining=left,
        mask=np.clip(1 + left / RAMP, 0, 1).astype(np.float32),
        attention=rng.dirichlet(np.full(len(written), 0.2), heads).astype(np.float32),
        nbytes=64 * len(written),
    )
