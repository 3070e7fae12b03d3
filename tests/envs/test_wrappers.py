"""Wrappers for environments of others: hidden velocities, and texts as numbers."""

from __future__ import annotations

import zlib

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from envs.masked import MaskVelocity
from rl_expire.vector.tokenize_text import MAX_WORDS, VOCABULARY, TokenizeText, tokenize_text, tokens


def test_velocities_are_hidden_and_nothing_else() -> None:
    plain, masked = gym.make("CartPole-v1"), MaskVelocity(gym.make("CartPole-v1"))
    seen, shown = plain.reset(seed=3)[0], masked.reset(seed=3)[0]
    for _ in range(5):
        np.testing.assert_array_equal(shown[[0, 2]], seen[[0, 2]])
        assert shown[[1, 3]].tolist() == [0, 0]
        assert seen[1] != 0
        seen, shown = plain.step(1)[0], masked.step(1)[0]


def test_other_environments_are_refused() -> None:
    with pytest.raises(ValueError, match="knows the velocities of CartPole, "):
        MaskVelocity(gym.make("FrozenLake-v1"))


def test_words_are_the_same_numbers_everywhere() -> None:
    ids = tokens("Go to the red BALL, then the ball")
    assert ids.shape == (MAX_WORDS,)
    assert ids[4] == ids[7] == 1 + zlib.crc32(b"ball") % (VOCABULARY - 1)
    assert ids[:8].min() > 0
    assert not ids[8:].any()
    assert tokens("word " * 99).all()


def test_a_mission_that_never_changes_is_left_out() -> None:
    env = tokenize_text(gym.make("MiniGrid-MemoryS13Random-v0"))
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"image", "direction"}
    assert env.observation_space.contains(obs)


def test_a_mission_that_changes_is_tokens() -> None:
    env = tokenize_text(gym.make("MiniGrid-GoToObject-6x6-N2-v0"))
    assert isinstance(env, TokenizeText)
    missions = {tuple(env.reset(seed=seed)[0]["mission"]) for seed in range(8)}
    assert len(missions) > 1
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_other_texts_are_tokens_and_environments_without_are_left_alone() -> None:
    plain = gym.make("CartPole-v1")
    assert tokenize_text(plain) is plain
    plain.observation_space = spaces.Dict({"said": spaces.Text(20), "n": spaces.Discrete(3)})
    heard = TokenizeText(plain).observation({"said": "left", "n": 2})
    np.testing.assert_array_equal(heard["said"], tokens("left"))
    assert heard["n"] == 2
