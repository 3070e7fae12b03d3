"""Turn text observations into token ids, and drop texts that never change."""

from __future__ import annotations

import zlib
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.mission import MissionSpace

VOCABULARY = 2048
"""Number of token ids. 0 is padding; words that hash to the same id share it."""
MAX_WORDS = 48
"""Number of words kept of a text."""


def tokens(text: str) -> np.ndarray:
    """Return the words of `text` as ids `[MAX_WORDS]` int64, the same on every machine."""
    words = text.lower().replace(",", " ").split()[:MAX_WORDS]
    ids = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    return np.array(ids + [0] * (MAX_WORDS - len(ids)), np.int64)


def is_text(space: gym.Space) -> bool:
    """Return whether observations of `space` are strings."""
    return isinstance(space, spaces.Text | MissionSpace)


def is_constant(space: gym.Space) -> bool:
    """Return whether a text never changes, as a MiniGrid mission without placeholders."""
    return isinstance(space, MissionSpace) and space.ordered_placeholders is None


def tokenize_text(env: gym.Env) -> gym.Env:
    """Wrap `env` in `TokenizeText` if it has dict observations that contain text."""
    space = env.observation_space
    if isinstance(space, spaces.Dict) and any(map(is_text, space.values())):
        return TokenizeText(env)
    return env


class TokenizeText(gym.ObservationWrapper):
    """Drops constant texts from a dict observation, and turns the others into token ids."""

    def __init__(self, env: gym.Env):
        """Replace the texts in the observation space of `env`."""
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, spaces.Dict)
        texts = {name: s for name, s in space.items() if is_text(s)}
        self.dropped = {name for name, s in texts.items() if is_constant(s)}
        self.tokenized = set(texts) - self.dropped
        self.observation_space = spaces.Dict(
            {
                name: (
                    spaces.MultiDiscrete([VOCABULARY] * MAX_WORDS) if name in self.tokenized else s
                )
                for name, s in space.items()
                if name not in self.dropped
            }
        )

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return the observation without constant texts, the others as `tokens`."""
        return {
            name: tokens(value) if name in self.tokenized else value
            for name, value in observation.items()
            if name not in self.dropped
        }
