"""Wrappers that hide part of what an environment shows, so that it takes memory to play."""

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
"""Which entries of the observation are velocities, by the name in the environment's id."""


class MaskVelocity(gym.ObservationWrapper):
    """Sets the velocities of Gymnasium's control tasks to 0: they must be told from the past.

    Raises:
        ValueError: the environment is none of those in `VELOCITIES`.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        name = "" if env.spec is None else env.spec.id.split("-")[0]
        if name not in VELOCITIES or not isinstance(env.observation_space, spaces.Box):
            raise ValueError(f"it knows the velocities of {', '.join(VELOCITIES)} only")
        self.hidden = list(VELOCITIES[name])

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Return a copy whose velocities are 0."""
        shown = np.array(observation)
        shown[self.hidden] = 0
        return shown
