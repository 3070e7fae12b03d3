"""Play one episode and record what the agent sees, does and remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from rl_expire.actions import ActionDistribution
from rl_expire.info import flag
from rl_expire.learning.actor import to_tensor
from rl_expire.learning.batch_info import batch_of_one, read_action_mask
from rl_expire.learning.episode import success_of
from rl_expire.retention.action_bars import bar_names, bars, taken
from rl_expire.retention.action_names import action_names
from rl_expire.retention.frames import Frame, as_rgb
from rl_expire.retention.importance import Importance, measure_importance
from rl_expire.retention.thinning import ThinnedRecording
from rl_expire.retention.trace import HeldMemories, Trace, TracedStep
from rl_expire.types import Agent, InfoKey, LayerView, M, TimeStep

MAX_STEPS = 20_000
"""Default step limit of a trace."""

MAX_BYTES = 200_000_000
"""Default budget for the frames and memories of a trace."""


@torch.no_grad()
def trace_episode(
    agent: Agent[M],
    env: gym.Env,
    *,
    seed: int,
    greedy: bool = True,
    device: torch.device | None = None,
    max_steps: int = MAX_STEPS,
    max_bytes: int = MAX_BYTES,
    solved_return: float | None = None,
) -> Trace:
    """Play one episode and record it.

    Memory is bounded: if frames and memories exceed `max_bytes`, only every second step is recorded
    in full, then every fourth, and so on (see `Trace.every`).

    Args:
        agent: The policy; it acts on a batch of 1.
        env: Any environment made with `render_mode="rgb_array"`.
        seed: Seed of the environment, and of the agent's actions if they are sampled.
        greedy: Take the most likely actions; otherwise sample.
        device: Device of the agent; the CPU if None.
        max_steps: Stop after this many steps; the trace is then marked as `cut`.
        max_bytes: Approximate budget for frames and memories.
        solved_return: Return from which on an episode counts as a success, for environments whose
            info does not say.

    Returns:
        The trace.

    Raises:
        ValueError: The environment renders no RGB frames, or `max_steps` is below 1.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}: choose 1 or more")
    device = device or torch.device("cpu")
    recording = ThinnedRecording(max_bytes)
    # The global random state is restored afterwards, and sampled actions depend on the seed alone.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        episode = _play(agent, env, recording, seed, greedy, device, max_steps)
        steps, importance = _with_importance(agent, recording.steps, episode.inputs)
    over = episode.terminated or episode.truncated
    success = success_of(episode.info, episode.total_reward, solved_return) if over else None
    return Trace(
        env_id=_env_name(env),
        seed=seed,
        greedy=greedy,
        action_names=action_names(env, bar_names(agent.actions.layout)),
        frames=recording.frames,
        steps=tuple(steps),
        total_reward=episode.total_reward,
        success=None if success is None else bool(success),
        terminated=episode.terminated,
        truncated=episode.truncated and not episode.terminated,
        cut=not over,
        importance=importance,
        every=recording.every,
    )


@dataclass
class _Episode:
    """An episode as far as it has been played, apart from what is recorded.

    Attributes:
        info: The last info.
        inputs: Every step as shown to the agent, a batch of 1 each.
        total_reward: Undiscounted sum of rewards.
        terminated: Whether the episode ended in a terminal state.
        truncated: Whether the environment cut it off.
    """

    info: dict[str, Any]
    inputs: list[TimeStep] = field(default_factory=list)
    total_reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


def _play(
    agent: Agent[M],
    env: gym.Env,
    recording: ThinnedRecording,
    seed: int,
    greedy: bool,
    device: torch.device,
    max_steps: int,
) -> _Episode:
    """Play an episode into `recording`, up to `max_steps` steps."""
    obs, info = env.reset(seed=seed)
    episode = _Episode(info)
    recording.frames.append(_render(env))
    memory = agent.initial_memory(1)
    layout = agent.actions.layout
    action, reward = layout.first(1, device), 0.0
    for t in range(max_steps):
        space, first = env.observation_space, t == 0
        step = _time_step(obs, episode.info, space, agent.actions, action, reward, is_first=first)
        episode.inputs.append(step)
        output, memory = agent.act(step, memory, greedy=greedy)
        layers = tuple(_held_memories(view, t) for view in agent.view(memory))
        relevant = _flag(episode.info, InfoKey.RELEVANT)
        decision = _flag(episode.info, InfoKey.DECISION)
        text = _text(episode.info)
        action = output.action
        obs, given, episode.terminated, episode.truncated, episode.info = env.step(
            layout.to_one_env(action)
        )
        reward = float(given)
        episode.total_reward += reward
        recording.add(
            TracedStep(
                taken=taken(layout, action[0]),
                reward=reward,
                value=float(output.value[0]),
                policy=bars(agent.actions, output.logits[0]),
                relevant=relevant,
                decision=decision,
                text=text,
                layers=layers,
            )
        )
        recording.frames.append(_render(env))
        if episode.terminated or episode.truncated:
            break
    return episode


def _with_importance(
    agent: Agent[M], steps: list[TracedStep], inputs: Sequence[TimeStep]
) -> tuple[list[TracedStep], Importance | None]:
    """Return the steps, and the importance of observations if the agent holds no past steps.

    Layers that only ever hold the present step are removed.
    """
    if _holds_past_steps(steps):
        return steps, None
    importance = measure_importance(agent, inputs, [step.policy for step in steps])
    return [replace(step, layers=()) for step in steps], importance


def _holds_past_steps(steps: Sequence[TracedStep]) -> bool:
    """Return whether any layer ever held more than the present step.

    An episode of one step cannot tell: there, any layer counts.
    """
    if len(steps) == 1:
        return bool(steps[0].layers)
    return any(len(layer) > 1 for step in steps for layer in step.layers)


def _env_name(env: gym.Env) -> str:
    """Return the environment's id, or its class name if it has none."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def _render(env: gym.Env) -> Frame:
    """Return the current frame.

    Raises:
        ValueError: The environment renders no RGB frames.
    """
    frame = as_rgb(env.render()) if env.render_mode == "rgb_array" else None
    if frame is None:
        raise ValueError(
            f"environment {_env_name(env)} renders no RGB frames: "
            'make it with render_mode="rgb_array", or choose an environment that has this mode'
        )
    return frame


def _time_step(
    obs: Any,
    info: dict[str, Any],
    space: gym.Space,
    actions: ActionDistribution,
    action: Tensor,
    reward: float,
    *,
    is_first: bool,
) -> TimeStep:
    """Return the step as a batch of 1."""
    device = action.device
    batch, given = batch_of_one(obs, info, space)
    return TimeStep(
        to_tensor(batch, device),
        torch.tensor([is_first], device=device),
        action,
        torch.tensor([reward], dtype=torch.float32, device=device),
        read_action_mask(batch, given, np.zeros(1, bool), actions.categories, device),
    )


def _held_memories(view: LayerView, now: int) -> HeldMemories:
    """Return the memories that row 0 of `view` holds at step `now`."""
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
    """Return a truth value of `info`; None without it.

    Raises:
        ValueError: It is no truth value.
    """
    return flag(info[name], name) if name in info else None


def _text(info: dict[str, Any]) -> str | None:
    """Return the observation in words; None if `info` does not have it.

    Raises:
        ValueError: It is no string.
    """
    text = info.get(InfoKey.TEXT)
    if text is not None and not isinstance(text, str):
        raise ValueError(f"info[{InfoKey.TEXT!r}] is a {type(text).__name__}: give a string")
    return text
