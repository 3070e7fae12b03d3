"""Play the scripted policies."""

import numpy as np

from envs.array_env import ArrayVectorEnv
from envs.array_env.arrays import FloatArray


def oracle_returns(env: ArrayVectorEnv) -> FloatArray:
    """Return the oracle's return in the first episode of each environment `[N]`, seed 0."""
    oracle = env.oracle()
    obs, _ = env.reset(seed=0)
    first, playing = np.ones(env.num_envs, np.bool_), np.ones(env.num_envs, np.bool_)
    total = np.zeros(env.num_envs)
    while playing.any():
        obs, reward, terminated, truncated, _ = env.step(oracle.act(obs, first))
        total += reward * playing
        first = terminated | truncated
        playing &= ~first
    return total
