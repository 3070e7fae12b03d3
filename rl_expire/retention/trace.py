"""A trace of one episode: what the agent saw and did, and what it remembered at every step."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import EnumMeta
from typing import Any, overload

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch

from rl_expire.learning.rollout import success_of, to_tensor
from rl_expire.retention.importance import Importance, measure_importance
from rl_expire.types import Agent, InfoKey, LayerView, M, TimeStep

MAX_STEPS = 20_000
"""Episodes are traced up to this many steps unless the caller says otherwise."""

MOST_BYTES = 200_000_000
"""Of frames and memories in a trace: once they are more, fewer steps are noted in full."""

_ARRAY_BYTES = 112

Frame = npt.NDArray[np.uint8]


class Frames(Sequence[Frame]):
    """Rendered frames, uint8 `[height, width, 3]` each, held compressed.

    Rendered worlds are mostly flat colour: thousands of frames fit in a few megabytes.
    """

    def __init__(self) -> None:
        self._packed: list[tuple[bytes, tuple[int, ...]]] = []

    def append(self, frame: Frame) -> None:
        """Add a frame."""
        frame = np.ascontiguousarray(frame)
        self._packed.append((zlib.compress(frame.data, 1), frame.shape))

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        data, shape = self._packed[index]
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)

    def repeat(self, index: int, earlier: int) -> None:
        """Put the frame `earlier` in the place of another."""
        self._packed[index] = self._packed[earlier]

    def nbytes_of(self, index: int) -> int:
        """Bytes of one frame, compressed."""
        return len(self._packed[index][0])

    @property
    def nbytes(self) -> int:
        """Bytes held, compressed; a frame that is repeated counts once."""
        return sum({id(data): len(data) for data, _ in self._packed}.values())


@dataclass(frozen=True)
class HeldMemories:
    """The K memories of one layer that attention could reach at one step, oldest first.

    Free slots are not in here, and neither is anything forgotten.

    Attributes:
        written: `[K]` int64, the step of the episode each was written at.
        span: `[K]` float32, the lifetime given to each, in steps.
        remaining: `[K]` float32, steps left of it; below 0 while the memory fades out.
        mask: `[K]` float32 in (0, 1], the weight factor of the fade.
        attention: `[H, K]` float32, what each head pays; each head's sum is 1.
        nbytes: bytes of the tensors of this layer's memory, free slots included.
    """

    written: npt.NDArray[np.int64]
    span: npt.NDArray[np.float32]
    remaining: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    attention: npt.NDArray[np.float32]
    nbytes: int

    def __len__(self) -> int:
        return len(self.written)

    @property
    def trace_nbytes(self) -> int:
        """Bytes that it takes to note this."""
        arrays = (self.written, self.span, self.remaining, self.mask, self.attention)
        return sum(array.nbytes + _ARRAY_BYTES for array in arrays)


@dataclass(frozen=True)
class TracedStep:
    """One step of the episode.

    Attributes:
        action: the action taken.
        reward: the reward it brought.
        value: the agent's value of the observation it acted on.
        policy: `[A]` float32, the probabilities of the actions.
        relevant: whether the environment says that this observation is needed later; None if it
            says nothing.
        decision: whether the environment says that what is remembered decides now; None if it says
            nothing.
        text: the observation in words, where the environment's info has it.
        layers: the memory of each layer when the agent acted; empty for an agent that keeps nothing
            of its past one by one.
        noted: whether `layers` and the frame are this step's own; otherwise they are those of the
            last step that was noted in full.
    """

    action: int
    reward: float
    value: float
    policy: npt.NDArray[np.float32]
    relevant: bool | None
    decision: bool | None
    text: str | None
    layers: tuple[HeldMemories, ...]
    noted: bool = True


@dataclass(frozen=True)
class Trace:
    """One episode of T steps.

    Attributes:
        env_id: the environment's id; its class name if it has none.
        seed: of the environment's reset, and of the actions if they were sampled.
        greedy: whether the most likely actions were taken.
        action_names: A words.
        frames: T + 1 frames, uint8 `[height, width, 3]`: before each action, and after the last.
        steps: T steps.
        total_reward: undiscounted sum of rewards.
        success: what the environment says at the end; None if it says nothing.
        terminated: the episode ended in a terminal state.
        truncated: the environment cut the episode off.
        cut: the episode went on, but the tracing stopped at its step limit: whatever came after
            step T is missing from this trace.
        importance: how much each thing seen mattered at each step, for an agent whose `layers` are
            empty.
        every: k: at least every k-th step is `noted` in full, and the beginnings of decisions and
            of what is needed later, and the last step.
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


@torch.no_grad()
def trace_episode(
    agent: Agent[M],
    env: gym.Env,
    *,
    seed: int,
    greedy: bool = True,
    device: torch.device | None = None,
    max_steps: int = MAX_STEPS,
    most_bytes: int = MOST_BYTES,
    solved_return: float | None = None,
) -> Trace:
    """Play one episode and note everything.

    Memory is bounded: of an episode whose frames and memories do not fit, every second step is
    noted in full, then every fourth, and so on (see `Trace.every`).

    Args:
        agent: the policy; a batch of 1 is shown to it.
        env: any environment made with `render_mode="rgb_array"`.
        seed: of the environment, and of the agent's actions if they are sampled.
        greedy: take the most likely actions; otherwise sample.
        device: where the agent lives; the CPU if None.
        max_steps: give up after this many steps; the trace is then marked as `cut`.
        most_bytes: of frames and memories noted, about.
        solved_return: as `Actor` takes it.

    Returns:
        The trace.

    Raises:
        ValueError: the environment does not render frames, or `max_steps` is below 1.
    """
    if max_steps < 1:
        raise ValueError(f"--max-steps is {max_steps}: choose 1 or more")
    device = device or torch.device("cpu")
    # Sampling is reproducible, and the caller's random numbers go on as if nothing had happened.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        recording = _Recording(most_bytes)
        return _play(agent, env, seed, greedy, device, max_steps, recording, solved_return)


class _Recording:
    """The episode so far, noted every k-th step in full so that it fits into `most_bytes`."""

    def __init__(self, most_bytes: int):
        self.most_bytes, self.every, self.nbytes, self.source = most_bytes, 1, 0, 0
        self.steps: list[TracedStep] = []
        self.frames = Frames()

    def add(self, step: TracedStep) -> None:
        """Add a step whose frame is there already; it is kept in full until the next one comes."""
        if self.steps:
            self._settle(len(self.steps) - 1)
        self.steps.append(step)
        while self.nbytes > self.most_bytes and self.every < len(self.steps):
            self.every *= 2
            self.nbytes = 0
            for t in range(len(self.steps) - 1):
                self._settle(t)

    def _settle(self, t: int) -> None:
        """Keep a step's frame and memory, or put those of the last step kept in their place."""
        step, before = self.steps[t], self.steps[max(0, t - 1)]
        decides = step.decision and not before.decision
        needed = step.relevant and not before.relevant
        if decides or needed or t % self.every == 0:
            self.source = t
            layers = sum(layer.trace_nbytes for layer in step.layers)
            self.nbytes += self.frames.nbytes_of(t) + layers
        else:
            self.steps[t] = replace(step, layers=self.steps[self.source].layers, noted=False)
            self.frames.repeat(t, self.source)


def _play(
    agent: Agent[M],
    env: gym.Env,
    seed: int,
    greedy: bool,
    device: torch.device,
    max_steps: int,
    recording: _Recording,
    solved_return: float | None,
) -> Trace:
    obs, info = env.reset(seed=seed)
    frames, steps, inputs = recording.frames, recording.steps, []
    frames.append(_render(env))
    memory = agent.initial_memory(1)
    action, reward, total = 0, 0.0, 0.0
    terminated = truncated = False
    while not (terminated or truncated) and len(steps) < max_steps:
        step = _time_step(obs, action, reward, device, first=not steps)
        inputs.append(step)
        output, memory = agent.act(step, memory, greedy=greedy)
        layers = tuple(_held(view, len(steps)) for view in agent.view(memory))
        relevant, decision = _flag(info, InfoKey.RELEVANT), _flag(info, InfoKey.DECISION)
        text = info.get(InfoKey.TEXT)
        action = int(output.action[0])
        obs, given, terminated, truncated, info = env.step(action)
        reward = float(given)
        total += reward
        policy = output.logits[0].softmax(-1).cpu().numpy()
        recording.add(
            TracedStep(
                action=action,
                reward=reward,
                value=float(output.value[0]),
                policy=policy,
                relevant=relevant,
                decision=decision,
                text=text,
                layers=layers,
            )
        )
        frames.append(_render(env))
    over = terminated or truncated
    success = success_of(info, total, solved_return) if over else None
    importance = None
    if not _keeps_past(steps):
        steps = [replace(step, layers=()) for step in steps]
        importance = measure_importance(agent, inputs, [step.policy for step in steps])
    return Trace(
        env_id=env.spec.id if env.spec is not None else type(env.unwrapped).__name__,
        seed=seed,
        greedy=greedy,
        action_names=action_names(env, len(steps[0].policy)),
        frames=frames,
        steps=tuple(steps),
        total_reward=total,
        success=None if success is None else bool(success),
        terminated=terminated,
        truncated=truncated and not terminated,
        cut=not over,
        importance=importance,
        every=recording.every,
    )


def _keeps_past(steps: Sequence[TracedStep]) -> bool:
    """Whether any layer ever held more than the present; an episode of one step does not tell."""
    if len(steps) == 1:
        return bool(steps[0].layers)
    return any(len(layer) > 1 for step in steps for layer in step.layers)


def action_names(env: gym.Env, count: int) -> tuple[str, ...]:
    """Return a word for each of `count` actions: the environment's own, or MiniGrid's."""
    own = getattr(env.unwrapped, "action_names", None)
    if own is not None:
        return tuple(own)
    known = getattr(env.unwrapped, "actions", None)
    if isinstance(known, EnumMeta) and len(known) == count:
        return tuple(member.name for member in known)  # pyright: ignore[reportAttributeAccessIssue]
    if count == 3:
        return ("left", "right", "forward")
    return tuple(f"action {n}" for n in range(count))


def _render(env: gym.Env) -> Frame:
    frame = env.render() if env.render_mode == "rgb_array" else None
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3:
        name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        raise ValueError(
            f"environment {name} cannot be shown: it gives no RGB frames; "
            'make it with render_mode="rgb_array", or choose an environment that has that mode'
        )
    return frame.astype(np.uint8, copy=False)


def _time_step(
    obs: Any, action: int, reward: float, device: torch.device, *, first: bool
) -> TimeStep:
    """Return the step as a batch of 1."""
    if isinstance(obs, dict):
        batch: Any = {name: np.asarray(value)[None] for name, value in obs.items()}
    else:
        batch = np.asarray(obs)[None]
    return TimeStep(
        to_tensor(batch, device),
        torch.tensor([first], device=device),
        torch.tensor([action], device=device),
        torch.tensor([reward], dtype=torch.float32, device=device),
    )


def _held(view: LayerView, now: int) -> HeldMemories:
    """Return what row 0 of `view` holds at step `now`, without its free slots."""
    held = view.held[0].nonzero()[:, 0]
    age = view.age[0, held]
    order = held[age.argsort(descending=True)]
    age, span = view.age[0, order], view.span[0, order]
    return HeldMemories(
        written=(now - age).cpu().numpy(),
        span=span.cpu().numpy(),
        remaining=(span - age).cpu().numpy(),
        mask=view.mask[0, order].cpu().numpy(),
        attention=view.attention[0][:, order].cpu().numpy(),
        nbytes=view.nbytes,
    )


def _flag(info: dict[str, Any], name: str) -> bool | None:
    return bool(info[name]) if name in info else None


def kept_counts(trace: Trace) -> npt.NDArray[np.int64]:
    """Return `[T, N]`, how many memories each layer held at each step."""
    rows = [[len(layer) for layer in step.layers] for step in trace.steps]
    return np.array(rows, np.int64).reshape(len(trace.steps), -1)


def relevant_steps(trace: Trace) -> npt.NDArray[np.bool_]:
    """Return `[T]`, which observations are needed later; all false where nobody says."""
    return np.array([bool(step.relevant) for step in trace.steps])


def is_flagged(trace: Trace) -> bool:
    """Whether the environment says which observations are needed later."""
    return any(step.relevant is not None for step in trace.steps)


def decision_starts(trace: Trace) -> Iterator[int]:
    """Yield the steps at which a decision begins."""
    before = False
    for t, step in enumerate(trace.steps):
        if step.decision and not before:
            yield t
        before = bool(step.decision)
