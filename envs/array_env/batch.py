"""The base class of vector environments written as array code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.array_env.arrays import (
    ALL,
    BoolArray,
    FloatArray,
    Frame,
    IntArray,
    Observation,
    Rows,
    spread_info,
    spread_rows,
)
from envs.array_env.checks import check_actions, check_render_mode, check_reset_mask, check_seeds
from envs.array_env.options import build_options
from envs.array_env.oracle import Oracle
from envs.array_env.state import replaced_arrays
from envs.draws import UIntArray, episode_keys


class ArrayVectorEnv(VectorEnv[Observation, npt.NDArray[Any], npt.NDArray[Any]]):
    """N environments stepped together by array operations, without a Python loop over them.

    A subclass implements five hooks: `_prepare`, `_restart`, `_advance`, `_observe` and `_info`
    (and `_frame` to support rendering). It keeps everything that belongs to an episode in `_state`,
    a `BatchState`. This class does options, seeding, action checks, the step limit and autoreset.

    Seeding:
        `reset(seed=s)` seeds environment i with s + i, which then behaves exactly like the single
        environment seeded with s + i. `reset()` without a seed begins the next episode of the same
        stream, which is seeded at random if there was no seed before.

    Autoreset:
        `AutoresetMode.SAME_STEP`: where an episode ends, the returned observation and info are
        those of the next episode's start. The last observation and info of the finished episode
        are in `info["final_obs"]` and `info["final_info"]`, valid where `info["_final_obs"]` and
        `info["_final_info"]` are True. Unlike in `SyncVectorEnv`, `final_obs` is not an array of
        objects but a dense array of the full batch shape, zero where it is not valid.
        `final_info` is a dictionary of dense arrays with their `_key` masks, as there.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own declaration)
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    changeable: ClassVar[tuple[str, ...]]
    """Options that `change` can set."""
    capped: ClassVar[tuple[str, ...]] = ()
    """Changeable options that cannot exceed their initial value, by which arrays are sized."""
    limit_terminates: ClassVar[bool] = False
    """Whether the step limit is part of the task: an episode that reaches it is terminated then."""
    always_ends: ClassVar[bool] = True
    """Every episode has a step limit, so none has to be cut off from outside."""

    options_type: ClassVar[type[Any]]
    """The type of `options`, a frozen dataclass that checks its fields."""
    options: Any
    """The options that episodes to come are drawn with."""
    _state: Any

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **options: Any) -> None:
        """Prepare N environments; call `reset` before the first step.

        Args:
            num_envs: Number of environments, N.
            render_mode: None, or "rgb_array".
            options: Options of the environment, fields of `options_type`.

        Raises:
            ValueError: If a value is impossible; the message names it and the remedy.
            TypeError: If there is no option of that name.
        """
        self.options = build_options(self.options_type, options)
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs} is impossible: give at least 1")
        check_render_mode(render_mode, self.metadata["render_modes"])
        self._initial_options = self.options
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.num_actions = self._prepare()
        self.single_action_space = gymnasium.spaces.Discrete(self.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeds: UIntArray | None = None
        self._episode = np.zeros(num_envs, np.int64)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._limit = np.zeros(num_envs, np.int64)
        self._was_reset = np.zeros(num_envs, np.bool_)

    # Hooks that a subclass implements.

    @abstractmethod
    def _prepare(self) -> tuple[gymnasium.Space[Any], int]:
        """Set `_state`; return the space of one observation, and the number of actions."""

    @abstractmethod
    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Begin new episodes.

        Args:
            rows: Environments to restart `[M]`.
            keys: Episode keys, uint64 `[M]`; all randomness of an episode must come from its key.

        Returns:
            Step limits of the new episodes, int64 `[M]`.
        """

    @abstractmethod
    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Apply one valid action to every environment; return rewards and terminated `[N]`."""

    @abstractmethod
    def _observe(self, rows: Rows) -> Observation:
        """Return the current observations of the environments `rows`, a new array `[M, ...]`."""

    @abstractmethod
    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Return the current info of the environments `rows`: new arrays `[M, ...]` by key."""

    def _frame(self, row: int) -> Frame:
        """Render environment `row`, uint8 `[height, width, 3]`."""
        raise NotImplementedError(f"{type(self).__name__} cannot be rendered")

    # The Gymnasium interface.

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: None to continue the streams of random numbers (or to seed them at random, the
                first time); an integer s for seeds s, s + 1, ...; or one integer or None per
                environment.
            options: `reset_mask`, bool `[N]`, limits the reset to where it is True; the info is
                then valid only there, as its `_key` masks say.

        Returns:
            Current observations of all environments `[N, ...]`, and info.

        Raises:
            ValueError: If the seed or the mask is invalid.
            ResetNeeded: If a mask leaves out an environment that was never reset.
        """
        mask = check_reset_mask(options, self.num_envs)
        if not (self._was_reset | mask).all():
            raise ResetNeeded("reset_mask: reset all environments once before resetting some")
        self._seed(seed, mask)
        rows = np.flatnonzero(mask)
        self._begin(rows)
        return self._observe(ALL), spread_info(self._info(rows), rows, self.num_envs)

    def step(
        self, actions: npt.NDArray[Any]
    ) -> tuple[Observation, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Step every environment, and restart those whose episode ends.

        Args:
            actions: Integers `[N]`.

        Returns:
            Observations `[N, ...]`, rewards float64 `[N]`, terminated and truncated bool `[N]`,
            never both True, and info (see the class for what it holds where an episode ends).

        Raises:
            ValueError: If the actions are not N integers of the action space.
            ResetNeeded: Before the first reset.
        """
        reward, terminated, truncated = self.transition(actions)
        finished = np.flatnonzero(terminated | truncated)
        if not finished.size:
            return self._observe(ALL), reward, terminated, truncated, self.describe()
        final_obs = self._observe(finished)
        final_info = spread_info(self._info(finished), finished, self.num_envs)
        self._begin(finished)
        obs = self._observe(ALL)
        info = self.describe()
        info["final_obs"] = spread_rows(final_obs, finished, self.num_envs)
        info["final_info"] = final_info
        info["_final_obs"] = terminated | truncated
        info["_final_info"] = info["_final_obs"].copy()
        return obs, reward, terminated, truncated, info

    def render(self) -> tuple[Frame, ...] | None:
        """Render every environment.

        Returns:
            N frames, uint8 `[height, width, 3]`, or None (with a warning) without a render mode.
        """
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        return tuple(self._frame(row) for row in range(self.num_envs))

    def change(self, **changes: Any) -> None:
        """Change options from each environment's next episode on.

        Args:
            changes: New values of options that are in `changeable`.

        Raises:
            ValueError: If a value is impossible; all options then keep their values.
            TypeError: If an option cannot be changed.
        """
        for name, value in changes.items():
            if name not in self.changeable:
                raise TypeError(f"{name} cannot be changed: only {', '.join(self.changeable)} can")
            most = getattr(self._initial_options, name)
            if name in self.capped and value > most:
                raise ValueError(
                    f"{name}={value} is impossible: give at most {most}, its initial value"
                )
        self.options = replace(self.options, **changes)

    @abstractmethod
    def oracle(self) -> Oracle:
        """Return a scripted policy that solves these N environments with perfect memory."""

    @abstractmethod
    def expected_return(self) -> float:
        """Return the exact mean return of perfect memory, which no agent can exceed."""

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that determines what happens next, except `options`.

        Returns:
            Arrays `[N, ...]` by name.

        Raises:
            ResetNeeded: Before the first reset.
        """
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, in an environment with the same options.

        Args:
            state: A dictionary returned by `state_dict`.

        Raises:
            ValueError: If it does not fit this environment, whose state is then unchanged.
        """
        if self._seeds is None:
            self._seeds = np.zeros(self.num_envs, np.uint64)
        arrays = self._arrays()
        with replaced_arrays(arrays, state):  # what is impossible would surface only steps later
            if not ((self._elapsed >= 0) & (self._elapsed < self._limit)).all():
                raise ValueError("more steps than an episode has")
            self._observe(ALL)
            self._info(ALL)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that `state_dict` copies, by name."""
        if self._seeds is None:
            raise ResetNeeded("state_dict() before reset(): call reset() first")
        return {
            "seeds": self._seeds,
            "episode": self._episode,
            "elapsed": self._elapsed,
            "limit": self._limit,
            "begun": self._was_reset,
            **vars(self._state),
        }

    def transition(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Step every environment without restarting any, as `SingleView` needs it.

        Args:
            actions: Integers `[N]`.

        Returns:
            Rewards float64 `[N]`, terminated and truncated bool `[N]`, never both True.

        Raises:
            ValueError: If the actions are not N integers of the action space.
            ResetNeeded: Before the first reset.
        """
        if self._seeds is None:
            raise ResetNeeded("step() before reset(): call reset() first")
        checked = check_actions(actions, self.num_envs, self.num_actions)
        reward, terminated = self._advance(checked)
        self._elapsed += 1
        over = self._elapsed >= self._limit
        if self.limit_terminates:
            return reward, terminated | over, np.zeros_like(over)
        return reward, terminated, over & ~terminated

    def observe(self) -> Observation:
        """Return the current observations `[N, ...]`."""
        return self._observe(ALL)

    def describe(self) -> dict[str, Any]:
        """Return the current info: arrays `[N, ...]` by key, with their `_key` masks."""
        info: dict[str, Any] = dict(self._info(ALL))
        valid = np.ones(self.num_envs, np.bool_)
        info.update({f"_{key}": valid for key in info})
        return info

    def frame(self, row: int = 0) -> Frame:
        """Render environment `row` in any render mode, uint8 `[height, width, 3]`."""
        return self._frame(row)

    def _seed(self, seed: int | Sequence[int | None] | None, mask: BoolArray) -> None:
        """Seed the streams of the environments in `mask` for which a seed is given."""
        seeds = check_seeds(seed, self.num_envs)  # raises before anything changes
        if isinstance(seed, (int, np.integer)):
            super().reset(seed=int(seed))
        if self._seeds is None:
            entropy = np.random.default_rng()
            self._seeds = entropy.integers(0, 2**64, self.num_envs, dtype=np.uint64)
        for row, value in enumerate(seeds):
            if value is not None and mask[row]:
                self._seeds[row] = int(value) % 2**64
                self._episode[row] = 0

    def _begin(self, rows: IntArray) -> None:
        """Begin the next episode of the environments `rows`."""
        assert self._seeds is not None
        keys = episode_keys(self._seeds[rows], self._episode[rows])
        self._limit[rows] = self._restart(rows, keys)
        self._elapsed[rows] = 0
        self._episode[rows] += 1
        self._was_reset[rows] = True
