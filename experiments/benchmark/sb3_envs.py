"""Give Stable-Baselines3 a Gymnasium vector environment as it is, without a loop over environments.

Needs the extra `peers`, so this module is only imported where that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from rl_expire.learning.actor import take_rows


class SB3Envs(VecEnv):
    """A `VecEnv` around a vector environment that resets itself in the step an episode ends in.

    Stable-Baselines3 would otherwise step single environments one after the other, which is many
    times slower.

    Args:
        envs: N environments with autoreset mode `SAME_STEP`; observations are arrays or, in a
            dictionary, several of them.

    Raises:
        ValueError: the environments have another autoreset mode.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        """Take over the spaces of `envs`."""
        mode = envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        if AutoresetMode(mode) != AutoresetMode.SAME_STEP:
            raise ValueError(f"the environments have autoreset mode {mode}: choose SAME_STEP")
        self.envs = envs
        self._actions = np.zeros(envs.num_envs, np.int64)
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin new episodes, with the seeds of the last call of `seed`, which hold once.

        Returns:
            A copy of the first observations, `[N, ...]`.
        """
        seeded = any(seed is not None for seed in self._seeds)
        # A seed for each: what every vector environment takes, but their base class does not say.
        seeds: Any = list(self._seeds) if seeded else None
        obs, _ = self.envs.reset(seed=seeds)
        self._reset_seeds()
        self._reset_options()
        return _copied(obs)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep `actions` `[N]` for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments; those whose episode ends begin a new one at once.

        Returns:
            Copies of the observations `[N, ...]`, those of the new episodes where one ended;
            rewards float32 `[N]`; dones bool `[N]`; and a new dictionary for each environment.
            There `TimeLimit.truncated` tells whether a step limit ended the episode, and
            `terminal_observation` is its last observation.
        """
        obs, reward, terminated, truncated, info = self.envs.step(self._actions)
        cut = np.asarray(truncated & ~terminated, bool)
        done = np.asarray(terminated | truncated, bool)
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": c} for c in cut.tolist()]
        rows = np.flatnonzero(done)
        if rows.size:
            last = take_rows(info["final_obs"], rows)
            for n, row in enumerate(rows.tolist()):
                infos[row]["terminal_observation"] = _row(last, n)
        # The learner adds the value of what was cut off to the rewards that it was given.
        return _copied(obs), np.array(reward, np.float32), done, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return the batch's attribute once for each environment of `indices`.

        Raises:
            AttributeError: the batch has no such attribute.
        """
        return [getattr(self.envs, attr_name) for _ in self._rows(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: a batch has no environments of which some could be changed.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a batch has no separate environments: change `envs` itself")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Refuse: a batch has no environments whose methods could be called.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a batch has no separate environments: call `envs` itself")

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each environment of `indices`: those of a batch have no wrappers."""
        return [False for _ in self._rows(indices)]

    def _rows(self, indices: VecEnvIndices) -> Iterable[int]:
        """Return the environments that `indices` means; None means all."""
        return self._get_indices(indices)


def _copied(obs: Any) -> Any:
    """Return a copy of observations, since environments may write their next ones over them."""
    if isinstance(obs, dict):
        return {name: np.array(value) for name, value in obs.items()}
    return np.array(obs)


def _row(obs: Any, row: int) -> Any:
    """Return one of the observations `[K, ...]`."""
    if isinstance(obs, dict):
        return {name: value[row] for name, value in obs.items()}
    return obs[row]
