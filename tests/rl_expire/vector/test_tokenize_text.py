"""Texts in dict observations become token ids."""

from __future__ import annotations

import zlib

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_expire.vector.tokenize_text import MAX_WORDS, VOCABULARY, TokenizeText, tokens


def talking() -> gym.Env:
    """Return an environment whose observation space has two texts and a number."""
    env = gym.make("CartPole-v1")
    texts = {"said": spaces.Text(20), "motto": spaces.Text(20)}
    env.observation_space = spaces.Dict({**texts, "n": spaces.Discrete(3)})
    return env


def test_a_word_has_the_same_token_in_every_text_and_on_every_machine() -> None:
    ids = tokens("Go to the red BALL, then the ball")
    assert ids.shape == (MAX_WORDS,)
    assert ids[4] == ids[7] == 1 + zlib.crc32(b"ball") % (VOCABULARY - 1)
    assert ids[:8].min() > 0
    assert not ids[8:].any()
    assert tokens("word " * 99).all()


def test_only_text_is_changed() -> None:
    env = TokenizeText(talking(), {})
    obs = env.observation({"said": "left", "motto": "", "n": 2})
    np.testing.assert_array_equal(obs["said"], tokens("left"))
    assert obs["n"] == 2
    assert env.observation_space.contains({**obs, "n": np.int64(2)})


def test_a_text_that_is_left_out_warns_when_it_changes() -> None:
    env = TokenizeText(talking(), {"motto": "go on"})
    obs = {"said": "left", "motto": "go on", "n": 2}
    assert set(env.observation(obs)) == {"said", "n"}
    assert "motto" not in str(env.observation_space)
    with pytest.warns(UserWarning, match=r"observation\['motto'\] is left out, .* is 'go back'"):
        env.observation(obs | {"motto": "go back"})
