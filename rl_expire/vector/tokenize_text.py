"""Turn text observations into token ids, and leave out texts that never change."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.mission import MissionSpace

from rl_expire.vector.nest import leaves, leaves_of, space_of

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


def may_be_constant(space: gym.Space) -> bool:
    """Return whether `space` allows one text only: a mission without placeholders.

    Most BabyAI environments declare their missions so although each episode has another one, hence
    only episodes can tell: see `read_env`.
    """
    return isinstance(space, MissionSpace) and space.ordered_placeholders is None


class TokenizeText(gym.ObservationWrapper):
    """Wrapper that turns texts of an observation into token ids, and leaves out constant ones.

    Nested observations become flat ones, see `rl_expire.vector.nest`.

    Args:
        env: an environment whose observations have texts, or are one.
        constant: the texts to leave out, by their names in the flat observation.
    """

    def __init__(self, env: gym.Env, constant: Mapping[str, str]):
        """Replace the texts in the observation space of `env`."""
        super().__init__(env)
        self.nested = env.observation_space
        parts = leaves(self.nested)
        self.constant = dict(constant)
        self.tokenized = {key for key, s in parts.items() if is_text(s)} - set(constant)
        ids = spaces.MultiDiscrete([VOCABULARY] * MAX_WORDS)
        shown: dict[Any, gym.Space] = {
            key: ids if key in self.tokenized else s
            for key, s in parts.items()
            if key not in constant
        }
        self.observation_space = space_of(shown)

    def observation(self, observation: Any) -> Any:
        """Return the observation without constant texts, the others as `tokens`.

        Raises:
            LookupError, TypeError: the observation is not nested as its space is.

        Warns:
            UserWarning: a constant text has changed.
        """
        parts = leaves_of(self.nested, observation)
        for key, text in self.constant.items():
            if parts[key] != text:
                warnings.warn(
                    f"observation[{key!r}] is left out, because it was {text!r} in all the first "
                    f"episodes, but now is {parts[key]!r}: declare its space as "
                    "gymnasium.spaces.Text to show it to the agent",
                    stacklevel=2,
                )
        shown = {
            key: tokens(value) if key in self.tokenized else value
            for key, value in parts.items()
            if key not in self.constant
        }
        return shown.get(None, shown)
