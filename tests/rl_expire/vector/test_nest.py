"""Nested observations become flat ones, with names that never collide."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import LSTMConfig, make_agent
from rl_expire.learning.actor import Actor, to_tensor
from rl_expire.learning.rollout import collect
from rl_expire.vector.nest import flat_obs, flat_space, leaves_of
from rl_expire.vector.tokenize_text import TokenizeText, tokens
from tests.support import CPU

COIN = spaces.Discrete(2)
CAMERAS = spaces.Tuple([spaces.Box(0, 255, (n, n, 3), np.uint8) for n in (9, 12)])
ROBOT = spaces.Dict(
    {"cameras": CAMERAS, "body": spaces.Dict({"": spaces.Box(-np.inf, np.inf, (2,))}), "on": COIN}
)


class Robot(gym.Env):
    """Shows its step count in every part of a nested observation; an episode has three steps."""

    observation_space, action_space = ROBOT, COIN

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self._obs(), 1.0, False, self.count == 3, {}

    def _obs(self) -> Any:
        images = tuple(np.full((n, n, 3), self.count, np.uint8) for n in (9, 12))
        body = {"": np.full(2, self.count, np.float32)}
        return {"cameras": images, "body": body, "on": self.count % 2}


def test_leaves_are_named_by_their_paths() -> None:
    space = flat_space(ROBOT)
    assert isinstance(space, spaces.Dict)
    assert set(space) == {"cameras/0", "cameras/1", "body/", "on"}
    assert space["cameras/1"].shape == (12, 12, 3)
    sample = ROBOT.sample()
    assert space.contains(flat_obs(sample))
    assert space.contains(leaves_of(ROBOT, sample))


@pytest.mark.parametrize("space", [COIN, spaces.Dict({"a/b": COIN, "~": COIN, "": COIN})])
def test_what_is_flat_keeps_its_keys(space: gym.Space) -> None:
    assert flat_space(space) == space


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({"a/b": COIN, "a": spaces.Dict({"b": COIN})}),
        spaces.Dict({"": spaces.Dict({"": COIN}), "/": COIN, "~1": COIN}),
        spaces.Dict({"a": spaces.Tuple([COIN]), "a/0": COIN, "a~10": COIN}),
        spaces.Dict({"a~": spaces.Dict({"1": COIN}), "a": spaces.Dict({"~1": COIN, "/": COIN})}),
    ],
)
def test_no_two_leaves_have_the_same_name(space: spaces.Dict) -> None:
    flat = flat_space(space)
    assert isinstance(flat, spaces.Dict)
    assert len(flat) == sum(len(getattr(part, "spaces", [0])) for part in space.values())


def test_a_vector_given_as_a_tuple_is_no_nest() -> None:
    space = spaces.Tuple((spaces.Box(-1.0, 1.0, (2,)), COIN))
    assert leaves_of(space, ((0.5, 0.25), 1)) == {"0": (0.5, 0.25), "1": 1}


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_batches_of_nested_observations_are_collected_with_their_last_ones(mode: Any) -> None:
    envs = SyncVectorEnv([Robot] * 2, autoreset_mode=mode)
    agent = make_agent(ROBOT, COIN, LSTMConfig(width=8))
    rollout = collect(Actor(envs, agent, CPU, seed=1), 4)
    obs = rollout.steps.obs
    assert isinstance(obs, dict)
    after = [0, 1, 2, 0, 1] if mode == AutoresetMode.SAME_STEP else [0, 1, 2, 3, 0]
    assert obs["body/"][:, 0, 1].tolist() == after
    assert obs["cameras/1"].shape == (5, 2, 12, 12, 3)
    assert obs["cameras/1"][:, 1, 3, 4, 0].tolist() == after
    assert rollout.truncated[2].all()
    assert (rollout.final_value[2] != 0).all()


@pytest.mark.parametrize(
    "dtype", [*"bhilBHIL", np.float16, np.float32, np.float64, np.longdouble, bool]
)
def test_arrays_of_every_type_become_tensors_with_the_same_numbers(dtype: Any) -> None:
    array = np.array([[0, 1, 100]], dtype)
    tensor = to_tensor(array, CPU)
    assert isinstance(tensor, torch.Tensor)
    assert torch.stack([tensor, tensor])[1].double().tolist() == array.astype(float).tolist()


def test_texts_anywhere_become_tokens() -> None:
    for space, obs, name in (
        (spaces.Text(9), "go left", None),
        (spaces.Tuple((COIN, spaces.Dict({"a": spaces.Text(9)}))), (1, {"a": "go left"}), "1/a"),
    ):
        env = gym.make("CartPole-v1")
        env.observation_space = space
        read = TokenizeText(env, {})
        shown = read.observation(obs)
        np.testing.assert_array_equal(shown if name is None else shown[name], tokens("go left"))
        assert name is None or read.observation_space.contains(shown | {"0": np.int64(1)})
