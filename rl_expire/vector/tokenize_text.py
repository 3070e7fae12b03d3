"""Text in observations, as numbers: a mission that never changes is left out, others are tokens."""

from __future__ import annotations

import zlib
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.mission import MissionSpace

VOCABULARY = 2048
"""Token ids: 0 is no word, all others are shared by the words that hash to them."""
LONGEST = 48
"""Words of a text; what comes after them is cut off."""


def tokens(text: str) -> np.ndarray:
    """Return the words of `text` as ids `[LONGEST]` int64, the same on every machine."""
    words = text.lower().replace(",", " ").split()[:LONGEST]
    ids = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    return np.array(ids + [0] * (LONGEST - len(ids)), np.int64)


def is_text(space: gym.Space) -> bool:
    """Whether observations of `space` are strings."""
    return isinstance(space, spaces.Text | MissionSpace)


def is_constant(space: gym.Space) -> bool:
    """Whether a text says the same in every episode: a MiniGrid mission with nothing to fill in."""
    return isinstance(space, MissionSpace) and space.ordered_placeholders is None


def tokenize_text(env: gym.Env) -> gym.Env:
    """Return `env` with the texts of its dict observations as tokens; as it is if it has none."""
    space = env.observation_space
    if isinstance(space, spaces.Dict) and any(map(is_text, space.values())):
        return TokenizeText(env)
    return env


class TokenizeText(gym.ObservationWrapper):
    """Leaves constant texts out of a dict observation and turns the others into tokens."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, spaces.Dict)
        texts = {name: s for name, s in space.items() if is_text(s)}
        self.constant = {name for name, s in texts.items() if is_constant(s)}
        self.spoken = set(texts) - self.constant
        self.observation_space = spaces.Dict(
            {
                name: spaces.MultiDiscrete([VOCABULARY] * LONGEST) if name in self.spoken else s
                for name, s in space.items()
                if name not in self.constant
            }
        )

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return it without constant texts, and the others as `tokens`."""
        return {
            name: tokens(value) if name in self.spoken else value
            for name, value in observation.items()
            if name not in self.constant
        }
