"""Environments and agent take turns; this is the only crossing between NumPy and Torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Generic

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from rl_expire.types import ActorOutput, Agent, InfoKey, M, Obs, Rollout, TimeStep
from rl_expire.validate import check_fit, check_keys, check_layout
from rl_expire.vector.faults import FAULT, EnvFaultError, check_batch, reason
from rl_expire.vector.state import env_state, load_env_state


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        row: which environment of the batch it ran in.
        total_reward: undiscounted sum of rewards.
        steps: number of actions taken.
        info: the scalars of the environment's final info, such as `success`; that one is also what
            it calls `is_success`, or whether the return that counts as success was reached.
    """

    row: int
    total_reward: float
    steps: int
    info: dict[str, float]


def to_tensor(obs: Any, device: torch.device) -> Obs:
    """Turn a batch of observations from Gymnasium into tensors on `device`."""
    if isinstance(obs, dict):
        return {name: torch.as_tensor(value, device=device) for name, value in obs.items()}
    return torch.as_tensor(obs, device=device)


@dataclass(frozen=True)
class Transition:
    """What one step of the environments brought, as NumPy arrays `[B]`.

    Attributes:
        reward: float32.
        terminated: bool.
        truncated: bool.
        valid: bool, false where a `NEXT_STEP` environment used the step to reset itself.
        failed: bool, true where an episode was given up because its environment had to be rebuilt.
        final_obs: observations `[B, ...]`, true last ones where an episode ended; None if none did.
        info: the environments' info of this step, describing the observation now current.
        final_info: the info of the true last observations, where an episode ended.
    """

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    failed: np.ndarray
    final_obs: Any
    info: dict[str, Any]
    final_info: dict[str, Any]


class Actor(Generic[M]):
    """Steps environments with an agent, whichever way they autoreset, and notes the episodes.

    Args:
        envs: a vector environment that autoresets.
        agent: the policy.
        device: where it lives.
        seed: of the environments.
        solved_return: the return at which an episode is a success, where the environments' own
            info does not say; None: nothing is known of such episodes.
    """

    def __init__(
        self,
        envs: VectorEnv,
        agent: Agent[M],
        device: torch.device,
        seed: int,
        solved_return: float | None = None,
    ):
        mode = envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        mode = AutoresetMode(mode)
        if mode == AutoresetMode.DISABLED:
            raise ValueError(
                "the environments have autoreset disabled: make them with SAME_STEP or NEXT_STEP"
            )
        self.envs, self.agent, self.device = envs, agent, device
        self.solved_return = solved_return
        self.next_step_mode = mode == AutoresetMode.NEXT_STEP
        self.episodes: list[Episode] = []
        self.faults: list[str] = []
        self.seconds = {"env": 0.0, "act": 0.0}
        self._begin(*envs.reset(seed=seed))

    def _begin(self, obs: Any, info: dict[str, Any]) -> None:
        """Start with the first step of new episodes everywhere."""
        rows, device = self.envs.num_envs, self.device
        self.info = info
        self._note_faults(info)
        self.memory = self.agent.initial_memory(rows)
        self._total_reward = np.zeros(rows)
        self._steps = np.zeros(rows, dtype=np.int64)
        self._ended = np.zeros(rows, dtype=bool)
        self.step = TimeStep(
            to_tensor(obs, device),
            torch.ones(rows, dtype=torch.bool, device=device),
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.zeros(rows, device=device),
        )

    def act(self, *, greedy: bool = False) -> ActorOutput:
        """Let the agent act on the current step; its memory moves on."""
        began = perf_counter()
        output, self.memory = self.agent.act(self.step, self.memory, greedy=greedy)
        self.seconds["act"] += perf_counter() - began
        return output

    def advance(self, action: Tensor) -> Transition:
        """Step the environments; `self.step` and `self.info` become the next ones.

        Raises:
            EnvFaultError: one of them failed and was not rebuilt; nothing has changed here.
        """
        chosen = action.cpu().numpy()
        began = perf_counter()
        try:
            obs, reward, terminated, truncated, info = self.envs.step(chosen)
        except EnvFaultError:
            raise
        except Exception as error:
            raise EnvFaultError(f"the environments cannot step: {reason(error)}") from error
        self.seconds["env"] += perf_counter() - began
        reward = np.asarray(reward, dtype=np.float32)
        check_batch(reward, obs)
        terminated, truncated = np.array(terminated, bool), np.array(truncated, bool)
        valid = self.playing()
        truncated &= ~terminated
        ended = terminated | truncated
        final_obs = final_info = None
        if ended.any():
            final_obs = obs if self.next_step_mode else info["final_obs"]
            final_info = info if self.next_step_mode else info.get("final_info", {})
        failed = self._note_faults(final_info or {})
        if info is not final_info:
            self._note_faults(info)  # they failed to begin an episode: none is given up
        self._note(reward, valid, ended, failed, final_info or {})
        is_first = self._ended if self.next_step_mode else ended
        self._ended = ended
        self.info = info
        self.step = TimeStep(
            to_tensor(obs, self.device),
            torch.as_tensor(is_first.copy(), device=self.device),
            action,
            torch.as_tensor(reward, device=self.device),
        )
        return Transition(
            reward, terminated, truncated, valid, failed, final_obs, info, final_info or {}
        )

    def final_values(self, transition: Transition, action: Tensor) -> Tensor:
        """Return `[B]`: V of the true last observation where truncated, 0 elsewhere."""
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

    def info_flag(self, key: str, otherwise: bool) -> np.ndarray:
        """Return `[B]` bool: what each environment says of its current observation, if anything."""
        told = self.info.get(key)
        if told is None:
            return np.full(self.envs.num_envs, otherwise)
        return np.where(self.info.get(f"_{key}", True), told, otherwise).astype(bool)

    def playing(self) -> np.ndarray:
        """Return `[B]` bool: false where the next step will only reset the environment."""
        return ~self._ended if self.next_step_mode else np.ones(self.envs.num_envs, bool)

    def take_episodes(self) -> list[Episode]:
        """Return the episodes finished since the last call."""
        episodes, self.episodes = self.episodes, []
        return episodes

    def take_faults(self) -> list[str]:
        """Return what was wrong with environments that were rebuilt since the last call."""
        faults, self.faults = self.faults, []
        return faults

    def state_dict(self) -> dict[str, Any]:
        """Return copies of everything that decides how environments and memory go on."""
        rows = self.envs.num_envs
        told = {  # what `told` reads
            name: value.copy()
            for name, value in self.info.items()
            if isinstance(value, np.ndarray) and value.dtype == bool and value.shape == (rows,)
        }
        return {
            "envs": env_state(self.envs),
            "memory": self.memory.state_dict(),
            "step": _copied(vars(self.step)),
            "info": told,
            "total_reward": self._total_reward.copy(),
            "steps": self._steps.copy(),
            "ended": self._ended.copy(),
            "episodes": [asdict(episode) for episode in self.episodes],
        }

    def load_state_dict(self, state: Any) -> None:
        """Go on from `state`; environments that cannot begin new episodes (see `env_state`).

        Raises:
            ValueError: it does not fit environments and agent; nothing has changed then.
        """
        keys = ("envs", "memory", "step", "info", "total_reward", "steps", "ended", "episodes")
        check_keys(state, keys, "actor")
        check_fit(state["step"], vars(self.step), "actor/step")
        for name in ("total_reward", "steps", "ended"):
            check_fit(state[name], getattr(self, f"_{name}"), f"actor/{name}")
        for name, value in state["info"].items():
            check_layout(value, self._ended, f"actor/info/{name}")
        memory = self.agent.initial_memory(self.envs.num_envs).restored(state["memory"])
        episodes = [_episode(told) for told in state["episodes"]]
        begun = load_env_state(self.envs, state["envs"])
        self.episodes = episodes
        if begun is not None:
            self._begin(*begun)
            return
        self.memory, self.info = memory, dict(state["info"])
        for name in ("total_reward", "steps", "ended"):
            setattr(self, f"_{name}", state[name].copy())
        self.step = TimeStep(**_copied(state["step"])).map(lambda x: x.to(self.device))

    def _note_faults(self, info: dict[str, Any]) -> np.ndarray:
        """Return `[B]` bool, the rows that were rebuilt, and keep what was wrong with them."""
        if FAULT not in info:
            return np.zeros(self.envs.num_envs, dtype=bool)
        rows = np.asarray(info[f"_{FAULT}"], dtype=bool)
        self.faults += [str(said) for said in info[FAULT][rows]]
        return rows

    def _note(
        self,
        reward: np.ndarray,
        valid: np.ndarray,
        ended: np.ndarray,
        failed: np.ndarray,
        final_info: dict[str, Any],
    ) -> None:
        self._total_reward += reward * valid
        self._steps += valid
        for row in np.flatnonzero(ended & ~failed):
            scalars = {
                name: float(value[row])
                for name, value in final_info.items()
                if not name.startswith("_")
                and isinstance(value, np.ndarray)
                and value.ndim == 1
                and value.dtype.kind in "biuf"
                and final_info.get(f"_{name}", ended)[row]
            }
            episode = Episode(
                int(row), float(self._total_reward[row]), int(self._steps[row]), scalars
            )
            self.episodes.append(judged(episode, self.solved_return))
        self._total_reward[ended] = 0.0
        self._steps[ended] = 0


def success_of(
    info: Mapping[str, Any], total_reward: float, solved_return: float | None
) -> Any | None:
    """Return what an episode's final info says of success, else what its return does, else None."""
    for name in (InfoKey.SUCCESS, InfoKey.IS_SUCCESS):
        if name in info:
            return info[name]
    return None if solved_return is None else total_reward >= solved_return


def judged(episode: Episode, solved_return: float | None) -> Episode:
    """Return `episode` with `success` in its info, wherever there is a way to tell."""
    success = success_of(episode.info, episode.total_reward, solved_return)
    if success is None:
        return episode
    return replace(episode, info={**episode.info, InfoKey.SUCCESS: float(success)})


def _episode(told: Any) -> Episode:
    """Return the episode that `asdict` described."""
    episode = Episode(**told)
    kinds = type(episode.row), type(episode.total_reward), type(episode.steps), type(episode.info)
    if kinds != (int, float, int, dict) or {type(v) for v in episode.info.values()} - {float}:
        raise ValueError("actor/episodes has something that is no episode")
    return episode


def _copied(tree: Any) -> Any:
    """Copy the tensors of a dict, dicts in it included."""
    if isinstance(tree, dict):
        return {name: _copied(value) for name, value in tree.items()}
    return tree.clone()


def take_rows(obs: Any, rows: np.ndarray) -> Any:
    """Return the observations of `rows` as a dense batch, also from an array of objects."""
    if isinstance(obs, dict):
        return {name: take_rows(value, rows) for name, value in obs.items()}
    if isinstance(obs, np.ndarray) and obs.dtype == object:
        picked = [obs[row] for row in rows]
        if isinstance(picked[0], dict):
            return {name: np.stack([p[name] for p in picked]) for name in picked[0]}
        return np.stack(picked)
    return np.asarray(obs)[rows]


@torch.no_grad()
def collect(actor: Actor[M], length: int) -> Rollout[M]:
    """Let `actor` run for `length` steps and return them with the memory it had before."""
    memory = actor.memory.snapshot()
    steps, outputs, transitions, final_values = [actor.step], [], [], []
    choice, relevant = [], []
    for _ in range(length):
        choice.append(actor.info_flag(InfoKey.CHOICE, otherwise=True))
        relevant.append(actor.info_flag(InfoKey.RELEVANT, otherwise=False))
        output = actor.act()
        transition = actor.advance(output.action)
        final_values.append(actor.final_values(transition, output.action))
        outputs.append(output)
        transitions.append(transition)
        steps.append(actor.step)
    bootstrap, _ = actor.agent.act(actor.step, actor.memory.snapshot())

    def stacked(name: str) -> Tensor:
        return torch.as_tensor(
            np.stack([getattr(t, name) for t in transitions]), device=actor.device
        )

    return Rollout(
        steps=TimeStep.stack(steps),
        action=torch.stack([o.action for o in outputs]),
        reward=stacked("reward"),
        terminated=stacked("terminated"),
        truncated=stacked("truncated"),
        final_value=torch.stack(final_values),
        bootstrap_value=bootstrap.value,
        logits=torch.stack([o.logits for o in outputs]),
        value=torch.stack([o.value for o in outputs]),
        valid=stacked("valid"),
        choice=torch.as_tensor(np.stack(choice), device=actor.device),
        relevant=torch.as_tensor(np.stack(relevant), device=actor.device),
        memory=memory,
    )
