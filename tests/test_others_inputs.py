"""Inputs of other people: all of MiniGrid, BabyAI and Gymnasium, images of any size, odd keys.

Every environment is reset with several seeds and read. A sample that covers each kind of
observation is trained on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers the environments)
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import LSTMConfig, make_agent
from agents.encoders import make_encoder
from experiments.train import AnyEnv, Train
from rl_expire.learning.actor import Actor
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.rollout import collect
from rl_expire.runs.checkpoint import load_tree, save_tree
from rl_expire.types import Obs
from rl_expire.vector.cells import is_cells
from rl_expire.vector.make import EnvConfig, make_env, make_envs
from rl_expire.vector.minigrid_success import ANY_REWARD
from tests.support import CPU, same_tree

SEEDS = range(3)
GRIDS = sorted(i for i in gym.registry if i.startswith(("MiniGrid-", "BabyAI-")))
GYMNASIUM = {
    "classic control": ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"],
    "toy text": ["FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"],
    "Box2D": ["LunarLander-v3"],
}
WRAPPED = {
    "cells, direction and a mission": ("BabyAI-GoToObj-v0", None),
    "cells and direction": ("MiniGrid-MemoryS7-v0", None),
    "all cells": ("MiniGrid-DoorKey-5x5-v0", "FullyObsWrapper"),
    "cells alone": ("MiniGrid-Empty-5x5-v0", "ImgObsWrapper"),
    "an image of the view": ("MiniGrid-Empty-5x5-v0", "RGBImgPartialObsWrapper"),
    "an image of everything": ("BabyAI-GoToLocal-v0", "RGBImgObsWrapper"),
    "bits": ("MiniGrid-Empty-5x5-v0", "OneHotPartialObsWrapper"),
    "objects and places": ("MiniGrid-Empty-5x5-v0", "SymbolicObsWrapper"),
    "a vector": ("MiniGrid-Empty-5x5-v0", "FlatObsWrapper"),
    "words by number": ("MiniGrid-Fetch-5x5-N2-v0", "DictObservationSpaceWrapper"),
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what environments print, and warnings of deprecated ones."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def batch(obs: Any) -> Obs:
    """Return an observation as a batch of one."""
    if isinstance(obs, dict):
        return {key: torch.as_tensor(np.asarray(value))[None] for key, value in obs.items()}
    return torch.as_tensor(np.asarray(obs))[None]


def problem_of(env_id: str) -> str | None:
    """Return what is wrong with how a MiniGrid or BabyAI environment is read."""
    try:
        env, raw = make_env(env_id, {}), gym.make(env_id)
        missions = [raw.reset(seed=seed)[0]["mission"] for seed in SEEDS]
    except (ValueError, FileNotFoundError) as error:
        return None if "No such file" in str(error) else str(error)  # left out of the package
    seen = [env.reset(seed=seed)[0] for seed in SEEDS]
    space = env.observation_space
    assert isinstance(space, spaces.Dict)
    if not all(space.contains(obs) for obs in seen):
        return "an observation is not in its space"
    if not is_cells(space["image"]):
        return "its cells are not read as cells"
    texts = [tuple(obs.get("mission", ())) for obs in seen]
    if [text == texts[0] for text in texts] != [m == missions[0] for m in missions]:
        return f"its missions do not reach the agent: {missions}"
    encoder = make_encoder(space, 8)
    codes = [encoder(batch(obs)) for obs in seen]
    return None if all(code.isfinite().all() for code in codes) else "its codes are not finite"


def test_every_minigrid_and_babyai_environment_is_read_with_its_missions() -> None:
    assert len(GRIDS) > 150
    with quiet(), torch.no_grad():
        problems = {env_id: problem_of(env_id) for env_id in GRIDS}
    assert {env_id: text for env_id, text in problems.items() if text is not None} == {}


@pytest.mark.parametrize("env_id", ["MiniGrid-Empty-5x5-v0", "BabyAI-GoToRedBallNoDists-v0"])
def test_any_reward_is_a_success_in_all_of_minigrid(env_id: str) -> None:
    assert Train(env=AnyEnv(env_id=env_id)).env_config().solved_return == ANY_REWARD


def test_a_bonus_in_minigrid_is_no_success() -> None:
    env = AnyEnv(env_id="MiniGrid-Empty-5x5-v0", wrappers=("minigrid.wrappers:ActionBonus",))
    assert Train(env=env).env_config().solved_return is None


def train_twice(env_id: str, env_config: EnvConfig) -> None:
    """Train a tiny agent for two updates, and check that it learns from every observation."""
    with quiet():
        envs = make_envs(env_id, 2, {}, env_config)
        torch.manual_seed(0)
        agent = make_agent(
            envs.single_observation_space,
            envs.single_action_space,
            LSTMConfig(width=8, reconstruct=1.0),
        )
        actor = Actor(envs, agent, CPU, seed=1)
        parameters = list(agent.parameters())
        optimizer = torch.optim.Adam(parameters, lr=1e-3)
        config = PPOConfig(epochs=1, minibatches=1)
        for _ in range(2):
            rollout = collect(actor, 3)
            stats = ppo_update(agent, optimizer, rollout, config, entropy_cost=0.01)
            assert np.isfinite(stats["value_loss"])
            assert np.isfinite(stats["reconstruction"])
        envs.close()


def test_every_sixth_minigrid_and_babyai_environment_trains() -> None:
    for env_id in GRIDS[::6]:
        if "WFC" not in env_id:  # its patterns are left out of the package
            train_twice(env_id, EnvConfig())


@pytest.mark.parametrize("kind", WRAPPED)
def test_every_kind_of_minigrid_observation_trains(kind: str) -> None:
    env_id, wrapper = WRAPPED[kind]
    wrappers = (f"minigrid.wrappers:{wrapper}",) if wrapper else ()
    train_twice(env_id, EnvConfig(wrappers=wrappers))


@pytest.mark.parametrize("family", GYMNASIUM)
def test_every_environment_of_gymnasium_with_discrete_actions_trains(family: str) -> None:
    if family == "Box2D" and importlib.util.find_spec("Box2D") is None:
        pytest.skip("Box2D is not installed")
    for env_id in GYMNASIUM[family]:
        train_twice(env_id, EnvConfig(vectorization="sync"))


@pytest.mark.skipif(importlib.util.find_spec("Box2D") is None, reason="Box2D is not installed")
def test_car_racing_is_read_as_images() -> None:
    with quiet():
        envs = make_envs("CarRacing-v3", 1, {"continuous": False})
        described = make_encoder(envs.single_observation_space, 8).describe()
        envs.close()
    assert described == "images of 96 x 96 pixels, 3 channels (last axis)"


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("order", ["first", "last"])
def test_small_images_of_any_size_are_told_apart(channels: int, order: str) -> None:
    """A pixel that changes its brightness by half, at any place, changes the code."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    sides = [(n, n) for n in range(1, 41)] + [(n, 41 - n) for n in range(1, 41)]
    same = []
    for height, width in sides:
        shape = (channels, height, width) if order == "first" else (height, width, channels)
        encoder = make_encoder(spaces.Box(0, 255, shape, np.uint8), 16)
        one = rng.integers(0, 256, shape, dtype=np.uint8)
        other = one.copy()
        other[tuple(rng.integers(0, shape))] ^= 128
        with torch.no_grad():
            codes = encoder(torch.as_tensor(np.stack([one, other])))
            target = torch.zeros(2, encoder.target_size)
            loss = encoder.reconstruction_loss(target, torch.as_tensor(np.stack([one, other])))
        assert codes.isfinite().all()
        assert loss.isfinite()
        if torch.equal(codes[0], codes[1]):
            same.append(shape)
    assert same == []


class OddKeys(gym.Env):
    """An environment whose observations have keys that are no names of PyTorch modules."""

    KEYS = ("agent.pos", "type", "values", "keys", "train", "", "$tensor", "a/b", "two words")
    action_space = spaces.Discrete(2)
    observation_space = spaces.Dict({key: spaces.Box(-9.0, 9.0, (2,)) for key in KEYS})

    def __init__(self, **_: Any):
        """Take any option, since registered environments are made with some."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """End the episode now and then."""
        return self._obs(), 1.0, bool(self.np_random.random() < 0.3), False, {}

    def _obs(self) -> dict[str, Any]:
        """Return random numbers."""
        return {key: self.np_random.normal(size=2).astype(np.float32) for key in self.KEYS}


gym.register("OddKeys-v0", entry_point=OddKeys)


def test_observations_with_any_keys_train_and_can_be_saved(tmp_path: Path) -> None:
    train_twice("OddKeys-v0", EnvConfig())
    envs = make_envs("OddKeys-v0", 2, {})
    agent = make_agent(envs.single_observation_space, envs.single_action_space, LSTMConfig(width=8))
    actor = Actor(envs, agent, CPU, seed=1)
    state = {"actor": actor.state_dict(), "agent": agent.state_dict()}
    save_tree(state, tmp_path / "state")
    loaded = load_tree(tmp_path / "state")
    same_tree(loaded["agent"], dict(agent.state_dict()))
    actor.load_state_dict(loaded["actor"])
    assert isinstance(actor.step.obs, dict)
    assert set(actor.step.obs) == set(OddKeys.KEYS)
