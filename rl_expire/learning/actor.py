"""Step vector environments with an agent: the only crossing between NumPy and Torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Generic

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from rl_expire.learning.ageing import empty_memory
from rl_expire.learning.batch_info import read_action_mask, read_flags, row_scalars
from rl_expire.learning.episode import SUCCESS_KEYS, Episode, episode_from_dict, success_of
from rl_expire.learning.record import Record
from rl_expire.types import FLAGS, ActorOutput, Agent, InfoKey, M, Obs, TimeStep
from rl_expire.validate import check_fit, check_keys, check_layout
from rl_expire.vector.faults import (
    FAULT,
    EnvFaultError,
    check_batch,
    error_summary,
    reward_array,
)
from rl_expire.vector.nest import flat_obs
from rl_expire.vector.state import env_state, load_env_state

UNKNOWN_TO_TORCH = {
    np.dtype(np.uint16): np.int32,
    np.dtype(np.uint32): np.int64,
    np.dtype(np.uint64): np.float64,
    np.dtype(np.longdouble): np.float64,
}
"""Types of arrays that PyTorch cannot compute with, and those that hold the same numbers."""


@dataclass(frozen=True)
class Transition:
    """The result of one step of B environments, as NumPy arrays `[B]`.

    Attributes:
        reward: float32.
        terminated: bool.
        truncated: bool, false where `terminated`.
        valid: bool, false where a `NEXT_STEP` environment spent the step on resetting itself.
        failed: bool, true where the episode was cut off because its environment was rebuilt.
        final_obs: observations `[B, ...]`, of each ended episode its last one, from before the
            reset; None if no episode ended.
    """

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    failed: np.ndarray
    final_obs: Any


class Actor(Record, Generic[M]):
    """An agent that steps environments, in any autoreset mode, and a record of finished episodes.

    Args:
        envs: a vector environment with autoreset mode `SAME_STEP` or `NEXT_STEP`.
        agent: the policy.
        device: device of the agent.
        seed: seed of the environments.
        solved_return: return from which on an episode is a success, if the environments' info does
            not say; None: the success of such episodes is unknown.
        pace: `[B]`, by how much memories age in a step, for a `ForgettingAgent`; None: by 1.

    Attributes:
        step: the current `TimeStep`, `[B, ...]`.
        flags: those of `types.FLAGS` that the environments' info holds for the current
            observations, `[B]` bool each.
        memory: the agent's memory before `step`.
        pace: `[B]`, see above.
        seconds: time spent so far in `env` and in `act`.

    Raises:
        ValueError: the environments have autoreset disabled.
        EnvFaultError: the environments cannot be reset, or their info is invalid.
    """

    def __init__(
        self,
        envs: VectorEnv,
        agent: Agent[M],
        device: torch.device,
        seed: int,
        solved_return: float | None = None,
        pace: Tensor | None = None,
    ):
        """Reset the environments."""
        super().__init__()
        mode = AutoresetMode(envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        if mode == AutoresetMode.DISABLED:
            raise ValueError(
                "the environments have autoreset disabled: make them with SAME_STEP or NEXT_STEP"
            )
        self.envs, self.agent, self.device = envs, agent, device
        self.solved_return = solved_return
        self.pace = (torch.ones(envs.num_envs) if pace is None else pace).to(device)
        self._counts = self.pace.numpy(force=True) == 1
        self.next_step_mode = mode == AutoresetMode.NEXT_STEP
        self.seconds = {"env": 0.0, "act": 0.0}
        self._start_episodes(*envs.reset(seed=seed))

    def _start_episodes(self, obs: Any, info: dict[str, Any]) -> None:
        """Make the first observations of new episodes the current step, with empty memory."""
        rows, device = self.envs.num_envs, self.device
        self.flags = read_flags(info, rows)
        self._record_faults(info)
        self.memory = empty_memory(self.agent, self.pace)
        self._total_reward = np.zeros(rows)
        self._steps = np.zeros(rows, dtype=np.int64)
        self._ended = np.zeros(rows, dtype=bool)
        self.step = TimeStep(
            to_tensor(obs, device),
            torch.ones(rows, dtype=torch.bool, device=device),
            self.agent.actions.layout.first(rows, device),
            torch.zeros(rows, device=device),
            self._action_mask(obs, info, over=self._ended),
        )

    def act(self, *, greedy: bool = False) -> ActorOutput:
        """Let the agent act on the current step, and update its memory."""
        start = perf_counter()
        output, self.memory = self.agent.act(self.step, self.memory, greedy=greedy)
        self.seconds["act"] += perf_counter() - start
        return output

    def advance(self, action: Tensor) -> Transition:
        """Step the environments with `action [B, ...]`, and update `step` and `flags`.

        Raises:
            EnvFaultError: an environment failed and was not rebuilt; this object is unchanged.
        """
        start = perf_counter()
        try:
            obs, reward, terminated, truncated, info = self.envs.step(
                self.agent.actions.layout.to_env(action)
            )
        except EnvFaultError:
            raise
        except Exception as error:
            raise EnvFaultError(f"the environments cannot step: {error_summary(error)}") from error
        self.seconds["env"] += perf_counter() - start
        reward = reward_array(reward, self.envs.num_envs)
        check_batch(reward, obs)
        flags = read_flags(info, len(reward))
        terminated, truncated = np.array(terminated, bool), np.array(truncated, bool)
        valid = self.playing()
        truncated &= ~terminated
        ended = terminated | truncated
        mask = self._action_mask(obs, info, over=ended & self.next_step_mode)
        final_obs = final_info = None
        if ended.any():
            final_obs = obs if self.next_step_mode else info["final_obs"]
            final_info = info if self.next_step_mode else info.get("final_info", {})
        failed = self._record_faults(final_info or {})
        if info is not final_info:
            self._record_faults(info)  # of resets that failed: these end no episode
        self._record_episodes(reward, valid, ended, failed, final_info or {})
        is_first = self._ended if self.next_step_mode else ended
        self._ended = ended
        self.flags = flags
        self.step = TimeStep(
            to_tensor(obs, self.device),
            torch.as_tensor(is_first.copy(), device=self.device),
            action,
            torch.as_tensor(reward, device=self.device),
            mask,
        )
        return Transition(reward, terminated, truncated, valid, failed, final_obs)

    def final_values(self, transition: Transition, action: Tensor) -> Tensor:
        """Return `[B]`, the value of the last observation of truncated episodes, 0 elsewhere."""
        values = torch.zeros(len(transition.reward), device=self.device)
        rows = np.flatnonzero(transition.truncated)
        if len(rows) == 0:
            return values
        index = torch.as_tensor(rows, device=self.device)
        last = TimeStep(
            to_tensor(take_rows(transition.final_obs, rows), self.device),
            torch.zeros(len(rows), dtype=torch.bool, device=self.device),
            action[index],
            torch.as_tensor(transition.reward[rows], device=self.device),
        )
        output, _ = self.agent.act(last, self.memory.select(index))
        values[index] = output.value
        return values

    def flag(self, key: str) -> np.ndarray:
        """Return `[B]` bool, the flag `key` of the current observations, or its default."""
        return self.flags.get(key, np.full(self.envs.num_envs, FLAGS[key]))

    def _action_mask(self, obs: Any, info: dict[str, Any], over: np.ndarray) -> Tensor | None:
        """Return the actions `[B, C]` that are allowed now; None: all are."""
        return read_action_mask(obs, info, over, self.agent.actions.categories, self.device)

    def restart(self, seed: int | None = None) -> None:
        """Reset all environments, with `seed` if given, and drop their unfinished episodes."""
        self._start_episodes(*self.envs.reset(seed=seed))

    def unfinished(self, row: int) -> Episode:
        """Return the episode of an environment as far as it has been played, as a failure."""
        known = self.tells_success or self.solved_return is not None
        info = {InfoKey.SUCCESS: 0.0} if known else {}
        return Episode(row, float(self._total_reward[row]), int(self._steps[row]), info)

    @property
    def episode_steps(self) -> np.ndarray:
        """Number of steps `[B]` of the episodes that are being played."""
        return self._steps.copy()

    def playing(self) -> np.ndarray:
        """Return `[B]` bool, false where the next step will only reset the environment."""
        return ~self._ended if self.next_step_mode else np.ones(self.envs.num_envs, bool)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the state of environments, memory and unfinished episodes."""
        return {
            "envs": env_state(self.envs),
            "memory": self.memory.state_dict(),
            "step": _cloned(_given(self.step)),
            "info": {key: value.copy() for key, value in self.flags.items()},
            "total_reward": self._total_reward.copy(),
            "steps": self._steps.copy(),
            "ended": self._ended.copy(),
            "tells_success": self.tells_success,
            "episodes": [asdict(episode) for episode in self.episodes],
        }

    def load_state_dict(self, state: Any) -> None:
        """Restore the state that `state_dict` returned.

        Environments that cannot be restored exactly start new episodes (see `env_state`).

        Raises:
            ValueError: `state` does not fit environments and agent; nothing has changed.
        """
        arrays = ("total_reward", "steps", "ended")
        keys = ("envs", "memory", "step", "info", *arrays, "tells_success", "episodes")
        check_keys(state, keys, "actor")
        if type(state["tells_success"]) is not bool:
            raise ValueError("actor/tells_success is not a bool")
        step = dict(state["step"])
        if (mask := step.pop("action_mask", None)) is not None:
            shape = self.envs.num_envs, self.agent.actions.categories
            check_layout(mask, torch.ones(shape, dtype=torch.bool), "actor/step/action_mask")
        check_fit(step, _given(replace(self.step, action_mask=None)), "actor/step")
        for name in arrays:
            check_fit(state[name], getattr(self, f"_{name}"), f"actor/{name}")
        for name, value in state["info"].items():
            check_layout(value, self._ended, f"actor/info/{name}")
        memory = empty_memory(self.agent, self.pace).restored(state["memory"])
        episodes = [episode_from_dict(episode) for episode in state["episodes"]]
        reset = load_env_state(self.envs, state["envs"])
        self.episodes, self.tells_success = episodes, state["tells_success"]
        if reset is not None:
            self._start_episodes(*reset)
            return
        self.memory, self.flags = memory, dict(state["info"])
        for name in arrays:
            setattr(self, f"_{name}", state[name].copy())
        self.step = TimeStep(**_cloned(state["step"])).map(lambda x: x.to(self.device))

    def _record_faults(self, info: dict[str, Any]) -> np.ndarray:
        """Keep the faults reported in `info`; return `[B]` bool, the environments they are of."""
        if FAULT not in info:
            return np.zeros(self.envs.num_envs, dtype=bool)
        rows = np.asarray(info[f"_{FAULT}"], dtype=bool)
        self.faults += [str(fault) for fault in info[FAULT][rows]]
        return rows

    def _record_episodes(
        self,
        reward: np.ndarray,
        valid: np.ndarray,
        ended: np.ndarray,
        failed: np.ndarray,
        final_info: dict[str, Any],
    ) -> None:
        """Update returns and lengths, and append the episodes that ended and did not fail.

        Those of environments in which memories age at another pace do not count.
        """
        self._total_reward += reward * valid
        self._steps += valid
        for row in np.flatnonzero(ended & ~failed & self._counts):
            total_reward, steps = float(self._total_reward[row]), int(self._steps[row])
            scalars = row_scalars(final_info, int(row), len(reward))
            self.tells_success |= not scalars.keys().isdisjoint(SUCCESS_KEYS)
            solved_return = math.inf if self.tells_success else self.solved_return
            success = success_of(scalars, total_reward, solved_return)
            if success is not None:
                scalars[InfoKey.SUCCESS] = success
            self.episodes.append(Episode(int(row), total_reward, steps, scalars))
        self._total_reward[ended] = 0.0
        self._steps[ended] = 0


def _given(step: TimeStep) -> dict[str, Any]:
    """Return the fields of `step` by name, without a mask of actions if there is none."""
    return {name: value for name, value in vars(step).items() if value is not None}


def to_tensor(obs: Any, device: torch.device) -> Obs:
    """Return a copy of a batch of NumPy observations as tensors on `device`.

    Environments may write their next observations into the same arrays. Nested observations become
    flat ones, see `rl_expire.vector.nest`.
    """
    flat = flat_obs(obs)
    if isinstance(flat, dict):
        return {name: _tensor(value, device) for name, value in flat.items()}
    return _tensor(flat, device)


def _tensor(value: Any, device: torch.device) -> Tensor:
    """Return a copy of an array as a tensor, of a type that PyTorch computes with."""
    if isinstance(value, np.ndarray) and value.dtype in UNKNOWN_TO_TORCH:
        value = value.astype(UNKNOWN_TO_TORCH[value.dtype])
    return torch.as_tensor(value).to(device, copy=True)


def take_rows(obs: Any, rows: np.ndarray) -> Any:
    """Return the observations of `rows` as a dense batch.

    Args:
        obs: an array, a nest of arrays, or an object array with one observation a row, as Gymnasium
            returns final observations.
        rows: indices `[K]`.
    """
    if isinstance(obs, Mapping):
        return {name: take_rows(value, rows) for name, value in obs.items()}
    if isinstance(obs, tuple):
        return tuple(take_rows(value, rows) for value in obs)
    if isinstance(obs, np.ndarray) and obs.dtype == object:
        return _stacked([obs[row] for row in rows])
    return np.asarray(obs)[rows]


def _stacked(obs: list[Any]) -> Any:
    """Return single observations as a batch."""
    if isinstance(obs[0], Mapping):
        return {name: _stacked([o[name] for o in obs]) for name in obs[0]}
    if isinstance(obs[0], tuple):
        return tuple(_stacked(list(parts)) for parts in zip(*obs, strict=True))
    return np.stack(obs)


def _cloned(tree: Any) -> Any:
    """Clone the tensors of nested dicts."""
    if isinstance(tree, dict):
        return {name: _cloned(value) for name, value in tree.items()}
    return tree.clone()
