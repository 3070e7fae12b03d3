"""Wrappers that hide part of the observation, so that a task needs memory."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces

VELOCITIES = {
    "CartPole": (1, 3),
    "MountainCar": (1,),
    "Acrobot": (4, 5),
    "Pendulum": (2,),
    "LunarLander": (2, 3, 5),
}
"""Indices of the velocities in the observation, by the name in the environment's id."""


class MaskVelocity(gym.ObservationWrapper):
    """Wrapper that hides the velocities of Gymnasium's control tasks by setting them to 0."""

    def __init__(self, env: gym.Env) -> None:
        """Wrap an environment.

        Raises:
            ValueError: If the environment is not one of `VELOCITIES`.
        """
        super().__init__(env)
        name = "" if env.spec is None else env.spec.id.split("-")[0]
        if name not in VELOCITIES or not isinstance(env.observation_space, spaces.Box):
            raise ValueError(f"MaskVelocity only knows the velocities of {', '.join(VELOCITIES)}")
        self.hidden = list(VELOCITIES[name])

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Return a copy with velocities of 0."""
        shown = np.array(observation)
        shown[self.hidden] = 0
        return shown
