"""Whether an environment rewards nothing but success, as MiniGrid and BabyAI do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from minigrid.minigrid_env import MiniGridEnv

ANY_REWARD = 1e-6
"""Return from which an episode is a success where only success is rewarded."""
EPISODES = 3
"""Episodes that are tried."""
STEPS = 64
"""Most steps of each of them."""


def rewards_only_success(spec: EnvSpec, make: Callable[[], gym.Env]) -> bool:
    """Return whether any reward means that the episode is a success.

    MiniGrid's environments give a positive reward once, at the end of an episode that succeeds. A
    wrapper may add others, such as a bonus for new states, so that random actions are tried.

    Args:
        spec: of the environment.
        make: makes it with its wrappers. It is only called for one that may be MiniGrid's.
    """
    with suppress(Exception):  # what fails here is reported when the environment is used
        creator = spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        if isinstance(creator, type) and not issubclass(creator, MiniGridEnv):
            return False
        with closing(make()) as env:
            if isinstance(env.unwrapped, MiniGridEnv):
                env.action_space.seed(0)
                return not any(_rewarded_early(env, seed) for seed in range(EPISODES))
    return False


def _rewarded_early(env: gym.Env, seed: int) -> bool:
    """Take random steps; return whether one was rewarded that did not end the episode."""
    env.reset(seed=seed)
    for _ in range(STEPS):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            return False
        if float(reward) > 0:
            return True
    return False
