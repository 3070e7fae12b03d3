"""The adapter for Stable-Baselines3 agrees with its own loop over single environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

pytest.importorskip("stable_baselines3", reason="the extra peers is not installed")

from stable_baselines3.common.vec_env import DummyVecEnv

from experiments.benchmark.sb3_envs import SB3Envs

CORRIDOR = "envs:RLExpire/Corridor-v0"
N = 6


class Countdown(gym.Env):
    """Observe the seconds left and a clock's face; odd countdowns are cut off, even ones end."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Dict(
        {
            "left": spaces.Box(0, 9, (1,), np.float32),
            "face": spaces.Box(0, 9, (2, 2), np.int64),
        }
    )

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, **options: Any) -> Any:
        super().reset(seed=options.get("seed"))
        self.total = self.left = int(self.np_random.integers(1, 9))
        return self._obs(), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        over = self.left == 0
        odd = self.total % 2 == 1
        return self._obs(), float(action), over and not odd, over and odd, {}

    def _obs(self) -> Any:
        face = np.full((2, 2), self.total)
        return {"left": np.array([self.left], np.float32), "face": face}


def same(one: Any, other: Any) -> bool:
    """Whether two observations are equal, in dtype too."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return one.dtype == other.dtype and np.array_equal(one, other)


def sync_countdowns() -> SyncVectorEnv:
    """N countdowns that write their observations over the last ones."""
    mode = AutoresetMode.SAME_STEP
    return SyncVectorEnv([Countdown] * N, copy=False, autoreset_mode=mode)


PAIRS = {
    "batch of corridors": (
        lambda: gym.make_vec(CORRIDOR, N, "vector_entry_point", max_length=5),
        lambda: gym.make(CORRIDOR, max_length=5),
    ),
    "dictionaries, one by one": (sync_countdowns, Countdown),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_it_agrees_with_a_loop_over_single_environments(pair: str) -> None:
    make_batch, make_single = PAIRS[pair]
    batch, single = SB3Envs(make_batch()), DummyVecEnv([make_single] * N)
    for envs in (batch, single):
        envs.seed(7)
    obs, expected_obs = batch.reset(), single.reset()
    assert same(obs, expected_obs)
    rng, cut, ended = np.random.default_rng(0), 0, 0
    assert isinstance(batch.action_space, spaces.Discrete)
    actions = int(batch.action_space.n)
    for step in range(300):
        # The first action alone ends no corridor: episodes run out of steps.
        action = rng.integers(0, actions if step % 100 < 50 else 1, N)
        found, expected = batch.step(action), single.step(action)
        for n in range(3):
            assert same(found[n], expected[n]), (step, n)
        for done, info, expected_info in zip(found[2], found[3], expected[3], strict=True):
            assert ("terminal_observation" in info) == done
            assert info["TimeLimit.truncated"] == expected_info["TimeLimit.truncated"]
            if done:
                last = expected_info["terminal_observation"]
                assert same(info["terminal_observation"], last)
                cut += info["TimeLimit.truncated"]
                ended += not info["TimeLimit.truncated"]
    assert cut > 10
    assert ended > 10


def test_what_it_returned_is_not_written_over() -> None:
    envs = SB3Envs(sync_countdowns())
    envs.seed(1)
    first = envs.reset()
    assert isinstance(first, dict)
    left = first["left"].copy()
    envs.step(np.zeros(N, np.int64))
    assert same(first["left"], left)
    one = envs.step(np.zeros(N, np.int64))
    before = one[1].copy(), one[2].copy(), [dict(info) for info in one[3]]
    one[1][:] += 1  # as the learner does with rewards of episodes that were cut off
    two = envs.step(np.zeros(N, np.int64))
    assert (two[1] == before[0]).all()
    assert two[3][0] is not one[3][0]


def test_seeds_hold_for_one_reset() -> None:
    envs = SB3Envs(sync_countdowns())
    envs.seed(3)
    one = envs.reset()
    two = envs.reset()
    envs.seed(3)
    assert same(envs.reset(), one)
    assert same(envs.reset(), two)


def test_other_autoreset_modes_are_refused() -> None:
    envs = SyncVectorEnv([Countdown] * N, autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ValueError, match="choose SAME_STEP"):
        SB3Envs(envs)


def test_a_batch_has_attributes_but_no_parts() -> None:
    envs = SB3Envs(sync_countdowns())
    assert envs.get_attr("num_envs", [0, 2]) == [N, N]
    assert not envs.has_attr("no_such_attribute")
    assert envs.env_is_wrapped(gym.Wrapper) == [False] * N
    with pytest.raises(NotImplementedError, match="no separate environments"):
        envs.set_attr("num_envs", 3)
    with pytest.raises(NotImplementedError, match="no separate environments"):
        envs.env_method("close")
