"""An ordinary `gymnasium.Env` as a view of a vector environment with one row."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from envs.array_env.arrays import ALL, Frame, Observation
from envs.array_env.batch import ArrayVectorEnv
from envs.array_env.checks import check_render_mode
from envs.window import Window


class SingleView(gymnasium.Env[Observation, int | np.int64]):
    """One environment as a view of an `ArrayVectorEnv` with one row, without autoreset.

    The dynamics exist only once, in the vector environment. A subclass names it in `vector_class`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own declaration)
        "render_modes": ["rgb_array", "human"],
        "render_fps": 10,
    }
    vector_class: ClassVar[type[ArrayVectorEnv]]
    title: ClassVar[str] = "rl_expire"
    """Title of the window in render mode "human"."""

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        """Prepare one environment; call `reset` before the first step.

        Args:
            render_mode: None, "rgb_array" or "human" (a window, drawn at each reset and step).
            options: Options of the environment, by name.

        Raises:
            ValueError: If an option or the render mode is impossible; the message says which.
            TypeError: If there is no option of that name.
        """
        check_render_mode(render_mode, self.metadata["render_modes"])
        self.core = self.vector_class(1, **options)
        self.render_mode = render_mode
        self.observation_space = self.core.single_observation_space
        self.action_space = self.core.single_action_space
        self._episode_over = False
        self._window: Window | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seed of the stream of random numbers; None continues the stream.
            options: Not used.

        Returns:
            The first observation and its info.
        """
        super().reset(seed=seed)
        obs, _ = self.core.reset(seed=seed)
        self._episode_over = False
        self._show()
        return obs[0], self._scalar_info()

    def step(self, action: int | np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action.

        Args:
            action: An integer of the action space.

        Returns:
            Observation, reward, terminated, truncated (never both True) and info.

        Raises:
            ValueError: If the action is not in the action space.
            ResetNeeded: Before the first reset, and after the end of an episode.
        """
        if self._episode_over:
            raise ResetNeeded("step() after the end of an episode: call reset() first")
        reward, terminated, truncated = self.core.transition(np.asarray(action).reshape(1))
        self._episode_over = bool(terminated[0] or truncated[0])
        self._show()
        return (
            self.core.observe()[0],
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._scalar_info(),
        )

    def render(self) -> Frame | None:  # type: ignore[override]
        """Render the environment.

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
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None
        self.core.close()

    def _scalar_info(self) -> dict[str, Any]:
        """Return the info as Python values."""
        info = self.core._info(ALL)
        return {key: value[0].tolist() for key, value in info.items()}

    def _show(self) -> None:
        """Draw into the window, in mode "human" only."""
        if self.render_mode != "human":
            return
        if self._window is None:
            self._window = Window(self.title)
        self._window.show(self.core.frame(), self.metadata["render_fps"])
