"""Environments whose dynamics are written once, as array code over N worlds.

`ArrayVectorEnv` is the batch; `SingleView` shows a batch of one as an ordinary `gymnasium.Env`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.draws import UIntArray, episode_keys
from envs.window import Window

BoolArray: TypeAlias = npt.NDArray[np.bool_]
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Frame: TypeAlias = npt.NDArray[np.uint8]
Observation: TypeAlias = npt.NDArray[Any]
# Environments a hook works on: their indices, or `slice(None)` for all of them, without a copy.
Rows: TypeAlias = IntArray | slice

ALL = slice(None)


class Oracle(Protocol):
    """A scripted policy with perfect memory: the ceiling that agents are reported against."""

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Chooses an action for each environment.

        Args:
            obs: Observations `[N, ...]`.
            is_first: Whether each is the first of its episode `[N]`.

        Returns:
            Actions, int64 `[N]`.
        """
        ...


@dataclass
class BatchState:
    """What N environments hold: subclasses are dataclasses of arrays `[N, ...]`."""

    def select(self, rows: Rows) -> Self:
        """Selects some environments: views for a slice, which means all, copies for indices."""
        if isinstance(rows, slice):
            return self
        return type(self)(*(pick(getattr(self, field.name), rows) for field in fields(self)))


class ArrayVectorEnv(VectorEnv[Observation, npt.NDArray[Any], npt.NDArray[Any]]):
    """N environments stepped together by array operations, with no Python loop over them.

    A subclass writes four hooks: `_restart`, `_advance`, `_observe` and `_info` (and `_frame` to
    be rendered), and holds all that they remember of an episode in a `BatchState` called `_state`;
    this class does seeding, action checks, the step limit and autoreset.

    Seeding:
        `reset(seed=s)` seeds environment i with s + i, which then behaves exactly like the single
        environment seeded with s + i. `reset()` without a seed begins the next episode of the same
        stream, and is random if there was no seed before.

    Autoreset:
        `AutoresetMode.SAME_STEP`: where an episode ends, the returned observation and info are
        those of the next episode's start. The finished episode's last ones are in
        `info["final_obs"]` and `info["final_info"]`, valid where `info["_final_obs"]` and
        `info["_final_info"]` are True. Unlike in `SyncVectorEnv`, `final_obs` is not an array of
        objects but one dense array of the full batch shape, zero where not valid.
        `final_info` is a dictionary of dense arrays with their `_key` masks, as there.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own declaration)
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    limit_terminates: ClassVar[bool] = False
    """Whether the step limit is part of the task: an episode that reaches it is then terminated."""

    def __init__(
        self,
        num_envs: int,
        observation_space: gymnasium.Space[Any],
        num_actions: int,
        render_mode: str | None = None,
    ) -> None:
        """Prepares N environments; call `reset` before the first step.

        Args:
            num_envs: Number of environments, N.
            observation_space: Space of one environment's observation.
            num_actions: Number of discrete actions.
            render_mode: None, or "rgb_array".

        Raises:
            ValueError: If `num_envs` or `render_mode` is impossible.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs} is impossible: give at least 1")
        check_render_mode(render_mode, self.metadata["render_modes"])
        self.num_envs = num_envs
        self.num_actions = num_actions
        self.render_mode = render_mode
        self.single_observation_space = observation_space
        self.single_action_space = gymnasium.spaces.Discrete(num_actions)
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeds: UIntArray | None = None
        self._episode = np.zeros(num_envs, np.int64)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._limit = np.zeros(num_envs, np.int64)
        self._begun = np.zeros(num_envs, np.bool_)

    # Hooks that a subclass writes.

    @abstractmethod
    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Begins new episodes.

        Args:
            rows: Environments to restart `[M]`.
            keys: Episode keys, uint64 `[M]`; all randomness of an episode must come from its key.

        Returns:
            Step limits of the new episodes, int64 `[M]`.
        """

    @abstractmethod
    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Applies one valid action to every environment; returns reward and terminated, `[N]`."""

    @abstractmethod
    def _observe(self, rows: Rows) -> Observation:
        """Observes the environments `rows` as they are now, in new memory, `[M, ...]`."""

    @abstractmethod
    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Describes the environments `rows` as they are now: new arrays `[M, ...]` by key."""

    def _frame(self, row: int) -> Frame:
        """Draws environment `row`, uint8 `[height, width, 3]`."""
        raise NotImplementedError(f"{type(self).__name__} cannot be rendered")

    # The Gymnasium interface.

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins new episodes.

        Args:
            seed: None to go on with the streams of random numbers (or to seed them at random, the
                first time); an integer s for seeds s, s + 1, ...; or one integer or None per
                environment.
            options: `reset_mask`, bool `[N]`, limits the reset to where it is True; the info then
                holds only those environments, as its `_key` masks tell.

        Returns:
            Observations `[N, ...]`, all current, and info.

        Raises:
            ValueError: If the seed or the mask cannot be used.
            ResetNeeded: If a mask leaves out an environment that was never reset.
        """
        mask = self._reset_mask(options)
        if not (self._begun | mask).all():
            raise ResetNeeded("reset_mask: reset all environments once before resetting some")
        self._seed(seed, mask)
        rows = np.flatnonzero(mask)
        self._begin(rows)
        return self._observe(ALL), self._spread(self._info(rows), rows)

    def step(
        self, actions: npt.NDArray[Any]
    ) -> tuple[Observation, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Steps every environment, and restarts those whose episode ends.

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
        final_info = self._spread(self._info(finished), finished)
        self._begin(finished)
        obs = self._observe(ALL)
        info = self.describe()
        info["final_obs"] = spread_rows(final_obs, finished, self.num_envs)
        info["final_info"] = final_info
        info["_final_obs"] = terminated | truncated
        info["_final_info"] = info["_final_obs"].copy()
        return obs, reward, terminated, truncated, info

    def render(self) -> tuple[Frame, ...] | None:
        """Draws every environment.

        Returns:
            N frames, uint8 `[height, width, 3]`, or None (with a warning) without a render mode.
        """
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        return tuple(self._frame(row) for row in range(self.num_envs))

    def oracle(self) -> Oracle:
        """Makes the scripted policy that solves these N environments with perfect memory."""
        raise NotImplementedError(f"{type(self).__name__} has no oracle")

    def expected_return(self) -> float:
        """Computes the mean return of perfect memory, exactly: the ceiling that no agent passes."""
        raise NotImplementedError(f"{type(self).__name__} has no known ceiling")

    # Going on elsewhere.

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies all that decides how the environments go on, but what `change` was told.

        Returns:
            Arrays `[N, ...]` by name.

        Raises:
            ResetNeeded: Before the first reset.
        """
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from where `state_dict` was called, in an environment of the same options.

        Args:
            state: As `state_dict` returned it.

        Raises:
            ValueError: If it does not fit this environment; nothing has changed then.
        """
        if self._seeds is None:
            self._seeds = np.zeros(self.num_envs, np.uint64)
        arrays = self._arrays()
        check_arrays(state, arrays)
        before = {name: array.copy() for name, array in arrays.items()}
        for name, array in arrays.items():
            array[...] = state[name]
        try:  # numbers no world can have would come to light only steps later
            if not ((self._elapsed >= 0) & (self._elapsed < self._limit)).all():
                raise ValueError("more steps than an episode has")
            self._observe(ALL)
            self._info(ALL)
        except (ValueError, IndexError, OverflowError, ZeroDivisionError) as error:
            for name, array in arrays.items():
                array[...] = before[name]
            raise ValueError(f"the environments' state is impossible ({error})") from error

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that `state_dict` copies, by name."""
        if self._seeds is None:
            raise ResetNeeded("state_dict() before reset(): call reset() first")
        own = {name: getattr(self, f"_{name}") for name in ("seeds", "episode", "elapsed", "limit")}
        state = getattr(self, "_state")  # noqa: B009  (each subclass has its own type)
        return own | {"begun": self._begun} | vars(state)

    # The parts of a step, for `SingleView`, which does without autoreset.

    def transition(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Steps every environment without restarting any.

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
        reward, terminated = self._advance(self._checked(actions))
        self._elapsed += 1
        over = self._elapsed >= self._limit
        if self.limit_terminates:
            return reward, terminated | over, np.zeros_like(over)
        return reward, terminated, over & ~terminated

    def observe(self) -> Observation:
        """Observes every environment as it is now, `[N, ...]`."""
        return self._observe(ALL)

    def describe(self) -> dict[str, Any]:
        """Describes every environment as it is now: arrays `[N, ...]` by key, with masks."""
        info: dict[str, Any] = dict(self._info(ALL))
        valid = np.ones(self.num_envs, np.bool_)
        info.update({f"_{key}": valid for key in info})
        return info

    def frame(self, row: int = 0) -> Frame:
        """Draws one environment, whatever the render mode.

        Args:
            row: Index of the environment.

        Returns:
            The frame, uint8 `[height, width, 3]`.
        """
        return self._frame(row)

    def _checked(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Returns the actions as an array, or says what is wrong with them."""
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise ValueError(
                f"actions must be {self.num_envs} integers, shape ({self.num_envs},), but are "
                f"{array.dtype} of shape {array.shape}"
            )
        if array.min() < 0 or array.max() >= self.num_actions:
            bad = array[(array < 0) | (array >= self.num_actions)][0]
            raise ValueError(f"actions must lie in 0 to {self.num_actions - 1}, but one is {bad}")
        return array

    def _reset_mask(self, options: dict[str, Any] | None) -> BoolArray:
        """Reads `options["reset_mask"]`; all True without one."""
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        ok = isinstance(mask, np.ndarray) and mask.dtype == np.bool_
        if not ok or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must be a bool array of shape ({self.num_envs},) with at "
                "least one True"
            )
        return mask

    def _seed(self, seed: int | Sequence[int | None] | None, mask: BoolArray) -> None:
        """Seeds the streams of the environments in `mask` for which there is a seed."""
        seeds = self._listed(seed)  # raises before anything changes
        if isinstance(seed, (int, np.integer)):
            super().reset(seed=int(seed))
        if self._seeds is None:
            entropy = np.random.default_rng()
            self._seeds = entropy.integers(0, 2**64, self.num_envs, dtype=np.uint64)
        for row, value in enumerate(seeds):
            if value is not None and mask[row]:
                self._seeds[row] = int(value) % 2**64
                self._episode[row] = 0

    def _listed(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        """Returns one seed or None per environment, or says what is wrong with them."""
        if seed is None:
            return []
        if isinstance(seed, (int, np.integer)):
            seed = [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"seed: give {self.num_envs} seeds, one per env, not {len(seed)}")
        for value in seed:
            if value is not None and (not isinstance(value, (int, np.integer)) or value < 0):
                raise ValueError(f"seed={value!r} is impossible: give an integer of at least 0")
        return seed

    def _begin(self, rows: IntArray) -> None:
        """Begins the next episode of the environments `rows`."""
        if self._seeds is None:
            raise ResetNeeded("call reset() first")
        keys = episode_keys(self._seeds[rows], self._episode[rows])
        self._limit[rows] = self._restart(rows, keys)
        self._elapsed[rows] = 0
        self._episode[rows] += 1
        self._begun[rows] = True

    def _spread(self, info: dict[str, npt.NDArray[Any]], rows: IntArray) -> dict[str, Any]:
        """Spreads the info of some environments over arrays of N, with Gymnasium's masks."""
        mask = np.zeros(self.num_envs, np.bool_)
        mask[rows] = True
        spread: dict[str, Any] = {}
        for key, values in info.items():
            spread[key] = spread_rows(values, rows, self.num_envs)
            spread[f"_{key}"] = mask
        return spread


class SingleView(gymnasium.Env[Observation, int | np.int64]):
    """One environment as a view of an `ArrayVectorEnv` of one, without autoreset.

    There is no second copy of the dynamics: what the batch does is what this does.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own declaration)
        "render_modes": ["rgb_array", "human"],
        "render_fps": 10,
    }
    title: ClassVar[str] = "rl_expire"

    def __init__(self, core: ArrayVectorEnv, render_mode: str | None = None) -> None:
        """Shows a batch of one.

        Args:
            core: The batch; it must hold exactly one environment.
            render_mode: None, "rgb_array" or "human" (a window, drawn at each reset and step).

        Raises:
            ValueError: If the batch holds more than one, or for an unknown render mode.
        """
        if core.num_envs != 1:
            raise ValueError(f"a single view needs a batch of 1, not {core.num_envs}")
        check_render_mode(render_mode, self.metadata["render_modes"])
        self.core = core
        self.render_mode = render_mode
        self.observation_space = core.single_observation_space
        self.action_space = core.single_action_space
        self._over = False
        self._window: Window | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins an episode.

        Args:
            seed: Seeds the stream of random numbers; None goes on with it.
            options: Not used.

        Returns:
            The first observation and its info.
        """
        super().reset(seed=seed)
        obs, _ = self.core.reset(seed=seed)
        self._over = False
        self._show()
        return obs[0], self._scalars()

    def step(self, action: int | np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Takes one action.

        Args:
            action: An integer of the action space.

        Returns:
            Observation, reward, terminated, truncated (never both True) and info.

        Raises:
            ValueError: If the action is not of the action space.
            ResetNeeded: Before the first reset, and after an episode's end.
        """
        if self._over:
            raise ResetNeeded("step() after the end of an episode: call reset() first")
        reward, terminated, truncated = self.core.transition(np.asarray(action).reshape(1))
        self._over = bool(terminated[0] or truncated[0])
        self._show()
        return (
            self.core.observe()[0],
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._scalars(),
        )

    def render(self) -> Frame | None:  # type: ignore[override]
        """Draws the environment.

        Returns:
            The frame, uint8 `[height, width, 3]`, in mode "rgb_array"; None in mode "human", which
            draws into its window, and (with a warning) without a render mode.
        """
        if self.render_mode == "rgb_array":
            return self.core.frame()
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs render_mode="rgb_array" or "human"')
        self._show()
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None
        self.core.close()

    def _scalars(self) -> dict[str, Any]:
        """The info as Python values."""
        info = self.core._info(ALL)
        return {key: value[0].tolist() for key, value in info.items()}

    def _show(self) -> None:
        """Draws into the window, in mode "human" only."""
        if self.render_mode != "human":
            return
        if self._window is None:
            self._window = Window(self.title)
        self._window.show(self.core.frame(), self.metadata["render_fps"])


def check_render_mode(render_mode: str | None, known: Sequence[str]) -> None:
    """Refuses a render mode that an environment does not have.

    Args:
        render_mode: The mode asked for; None is always fine.
        known: The environment's modes.

    Raises:
        ValueError: Naming the modes there are.
    """
    if render_mode is not None and render_mode not in known:
        raise ValueError(f"render_mode={render_mode!r} is unknown: give None or one of {known}")


def check_arrays(found: Any, like: dict[str, npt.NDArray[Any]]) -> None:
    """Refuses anything but arrays of the names, shapes and types of `like`.

    Raises:
        ValueError: Naming the first that differs.
    """
    if not isinstance(found, dict) or found.keys() != like.keys():
        raise ValueError("the environments' state is that of another environment")
    for name, array in like.items():
        other = found[name]
        if not isinstance(other, np.ndarray) or other.dtype != array.dtype:
            raise ValueError(f"the environments' {name} is no array of {array.dtype}")
        if other.shape != array.shape:
            raise ValueError(f"the environments' {name} is {other.shape}, not {array.shape}")


def pick(values: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Picks rows of an array `[N, ...]`: a view for a slice, a copy for indices.

    NumPy's own `values[rows]` is several times slower where rows are more than one value.
    """
    return values[rows] if isinstance(rows, slice) else values.take(rows, axis=0)


def spread_rows(values: npt.NDArray[Any], rows: IntArray, count: int) -> npt.NDArray[Any]:
    """Spreads the values of some rows over a new array of zeros.

    Args:
        values: One value per row `[M, ...]`.
        rows: Where they go `[M]`.
        count: Rows of the result, N.

    Returns:
        A new array `[N, ...]` of the same type.
    """
    spread = np.zeros((count, *values.shape[1:]), values.dtype)
    spread[rows] = values
    return spread
