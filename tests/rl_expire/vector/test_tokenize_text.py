"""Texts in dict observations become token ids; texts that never change are dropped."""

from __future__ import annotations

import zlib

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rl_expire.vector.tokenize_text import (
    MAX_WORDS,
    VOCABULARY,
    TokenizeText,
    tokenize_text,
    tokens,
)


def test_a_word_has_the_same_token_in_every_text_and_on_every_machine() -> None:
    ids = tokens("Go to the red BALL, then the ball")
    assert ids.shape == (MAX_WORDS,)
    assert ids[4] == ids[7] == 1 + zlib.crc32(b"ball") % (VOCABULARY - 1)
    assert ids[:8].min() > 0
    assert not ids[8:].any()
    assert tokens("word " * 99).all()


def test_a_mission_that_never_changes_is_dropped() -> None:
    env = tokenize_text(gym.make("MiniGrid-MemoryS13Random-v0"))
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"image", "direction"}
    assert env.observation_space.contains(obs)


def test_a_mission_that_changes_becomes_tokens() -> None:
    env = tokenize_text(gym.make("MiniGrid-GoToObject-6x6-N2-v0"))
    assert isinstance(env, TokenizeText)
    missions = {tuple(env.reset(seed=seed)[0]["mission"]) for seed in range(8)}
    assert len(missions) > 1
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_only_text_is_changed_and_environments_without_text_are_not_wrapped() -> None:
    plain = gym.make("CartPole-v1")
    assert tokenize_text(plain) is plain
    plain.observation_space = spaces.Dict({"said": spaces.Text(20), "n": spaces.Discrete(3)})
    obs = TokenizeText(plain).observation({"said": "left", "n": 2})
    np.testing.assert_array_equal(obs["said"], tokens("left"))
    assert obs["n"] == 2
