"""A trained agent in use: observations of an environment in, its actions out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from agents.pretrained import agent_of
from rl_expire.learning.actor import to_tensor
from rl_expire.learning.batch_info import batch_of_one, read_action_mask
from rl_expire.runs.policy import read_policy
from rl_expire.types import Agent, LayerView, TimeStep
from rl_expire.vector.nest import leaves, leaves_of
from rl_expire.vector.reading import DeclareCells, Reading, apply_reading, decide_reading
from rl_expire.vector.stored_spaces import SpacesOnly, read_spaces
from rl_expire.vector.tokenize_text import TokenizeText

AnyEnv = gym.Env | VectorEnv
"""One environment, or a batch."""


class PolicyError(ValueError):
    """A policy was used in a way that would go wrong without a word."""


class Reader(NamedTuple):
    """The observation space that agents read, and what turns observations into those of it."""

    space: gym.Space
    steps: tuple[Callable[[Any], Any], ...] = ()


class Policy:
    """An agent that plays an environment, and keeps its memory from step to step.

    After each `act` and step of the environment, `observe` has to be told how it went: agents see
    the last reward, and their memory begins anew where an episode has ended.

    Args:
        agent: a trained agent, on any device.
        env: the environment that it is going to play, or a vector environment.
        greedy: take the most likely actions; otherwise sample.
        reader: what `read_observations(env)` returned; None: it is called.

    Raises:
        PolicyError: the environment is a batch without autoreset.
    """

    def __init__(
        self,
        agent: Agent[Any],
        env: AnyEnv,
        *,
        greedy: bool = True,
        reader: Reader | None = None,
    ):
        """Look at the spaces of the environment; the first episodes may begin."""
        self.agent, self.greedy = agent, greedy
        self.single = not isinstance(env, VectorEnv)
        self.rows = 1 if isinstance(env, gym.Env) else env.num_envs
        self.space, self._reading = reader or read_observations(env)
        self.next_step_mode = not self.single and _mode(env) == AutoresetMode.NEXT_STEP
        self.reset()

    @property
    def device(self) -> torch.device:
        """Device of the agent."""
        return next(self.agent.parameters()).device

    def reset(self) -> None:
        """Forget everything: the next observations begin new episodes."""
        self._memory = self.agent.initial_memory(self.rows)
        self._is_first = np.ones(self.rows, bool)
        self._ended = np.zeros(self.rows, bool)
        self._reward = np.zeros(self.rows, np.float32)
        self._action = self.agent.actions.layout.first(self.rows, self.device)
        self._waiting = False

    def act(self, obs: Any, info: dict[str, Any] | None = None) -> Any:
        """Return the action for an observation, or those for a batch, as `env.step` takes them.

        Args:
            obs: what `reset` or `step` of the environment returned, nested as it is.
            info: the same; needed where it holds a mask of actions.

        Raises:
            PolicyError: `observe` was not called since the last `act`, or `obs` is not of the
                environment's observation space or batch.
            EnvFaultError: the mask does not fit the actions.
        """
        if self._waiting:
            raise PolicyError(
                "act was called twice in a row: call observe(reward, terminated, truncated) after "
                "each step of the environment, or reset() to begin new episodes"
            )
        batch, given = self._batch(obs, info or {})
        over = self._ended & self.next_step_mode
        step = TimeStep(
            to_tensor(batch, self.device),
            torch.as_tensor(self._is_first, device=self.device),
            self._action,
            torch.as_tensor(self._reward, device=self.device),
            read_action_mask(batch, given, over, self.agent.actions.categories, self.device),
        )
        output, self._memory = self.agent.act(step, self._memory, greedy=self.greedy)
        self._action, self._waiting = output.action, True
        layout = self.agent.actions.layout
        return layout.to_one_env(output.action) if self.single else layout.to_env(output.action)

    def observe(self, reward: Any, terminated: Any, truncated: Any) -> None:
        """Tell what the step after the last `act` returned; a number each, or `[B]`.

        Raises:
            PolicyError: there was no `act` since the last call, or a batch has another size.
        """
        if not self._waiting:
            raise PolicyError("observe was called without an act before it: call act(obs) first")
        arrays = [np.reshape(x, -1) for x in (reward, terminated, truncated)]
        if {len(x) for x in arrays} != {self.rows}:
            sizes = ", ".join(str(len(x)) for x in arrays)
            raise PolicyError(
                f"reward, terminated and truncated have the sizes {sizes}, not {self.rows} each"
            )
        ended = (arrays[1] | arrays[2]).astype(bool)
        self._reward = arrays[0].astype(np.float32)
        self._is_first = self._ended if self.next_step_mode else ended
        self._ended, self._waiting = ended, False

    def _batch(self, obs: Any, info: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return observations as agents read them, as a batch, and the info likewise.

        Raises:
            PolicyError: `obs` is not of the environment's observation space or batch.
        """
        try:
            for read in self._reading:
                obs = read(obs)
            if self.single:
                obs, info = batch_of_one(obs, info, self.space)
            parts = leaves(obs) if self.single else leaves_of(self.space, obs)
        except (LookupError, TypeError):
            names = ", ".join(str(name) for name in leaves(self.space))
            raise PolicyError(f"the observation does not have the parts {names}") from None
        for name, space in leaves(self.space).items():
            _check(parts[name], space, self.rows, name)
        return obs, info

    def memory_view(self) -> list[LayerView]:
        """Return what each layer holds right after an `act`; empty for agents without memories."""
        return self.agent.view(self._memory)


def load_policy(
    source: str | Path,
    env: AnyEnv | None = None,
    *,
    revision: str | None = None,
    greedy: bool = True,
    device: torch.device | str = "cpu",
) -> Policy:
    """Return a trained policy for an environment. Loading runs no code from the source.

    Args:
        source: a folder written by `rl-expire export`, a run folder, or the id `owner/name` of a
            repository on the Hugging Face Hub, which needs `huggingface_hub` to be installed.
        env: the environment that it is going to play, or a vector environment; None: one with the
            spaces of the environment that it was trained in, which need not be installed.
        revision: branch, tag or commit on the Hub.
        greedy: take the most likely actions; otherwise sample.
        device: where the agent computes.

    Raises:
        ValueError: the policy cannot be fetched or read, or does not fit the environment's spaces.
    """
    config, weights = read_policy(source, revision=revision)
    stored = env is None
    if env is None:
        env, reading = _stored_spaces(source, config)
        reader = _reader(env, reading)
    else:
        reader = read_observations(env)
    actions = env.single_action_space if isinstance(env, VectorEnv) else env.action_space
    agent = agent_of(source, config, weights, reader.space, actions, stored_spaces=stored)
    return Policy(agent.to(device), env, greedy=greedy, reader=reader)


def _stored_spaces(source: str | Path, config: dict[str, Any]) -> tuple[SpacesOnly, Reading]:
    """Return the spaces that a policy was trained with, and how it reads them.

    Raises:
        ValueError: `config` does not hold them.
    """
    try:
        stored = read_spaces(config)
    except ValueError as error:
        raise ValueError(f"{source}: config.json cannot be used: {error}") from error
    if stored is None:
        raise ValueError(
            f"{source}: config.json holds no spaces, which versions before 0.2 did not store: give "
            "the environment, as load_policy(source, env), or export the run again"
        )
    return stored


def read_observations(env: AnyEnv) -> Reader:
    """Return how agents read the observations of `env`, for which its first episodes are begun."""
    if isinstance(env, VectorEnv):
        return Reader(env.single_observation_space)
    if env.spec is None:
        return Reader(env.observation_space)
    return _reader(env, decide_reading(env, partial(gym.make, env.spec)))


def _reader(env: gym.Env, reading: Reading) -> Reader:
    """Return how agents read the observations of `env`."""
    read = apply_reading(env, reading)
    space, steps = read.observation_space, []
    while isinstance(read, TokenizeText | DeclareCells) and read is not env:
        steps.insert(0, read.observation)
        read = read.env
    return Reader(space, tuple(steps))


def _mode(env: Any) -> AutoresetMode:
    """Return how a vector environment begins new episodes."""
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode == AutoresetMode.DISABLED:
        raise PolicyError(
            "the environments have autoreset disabled: make them with SAME_STEP or NEXT_STEP"
        )
    return mode


def _check(batch: Any, space: gym.Space, rows: int, name: str | None) -> None:
    """Check that a batch of one part of the observations has the layout of `space`.

    Raises:
        PolicyError: it has not.
    """
    where = "the observation" if name is None else f"observation {name}"
    array = np.asarray(batch)
    shape = (rows, *(space.shape or ()))
    if array.ndim == 0:
        raise PolicyError(f"{where} is a number")
    if array.shape != shape:
        raise PolicyError(
            f"{where} has shape {array.shape[1:]} in a batch of {len(array)}, not "
            f"{shape[1:]} in one of {rows}"
        )
    if not np.can_cast(array.dtype, space.dtype or array.dtype, "same_kind"):
        raise PolicyError(f"{where} has type {array.dtype}, not {space.dtype}")
