"""How observations are read is decided from what the environment is and from its episodes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers the environments)
import numpy as np
import pytest
from gymnasium import spaces
from minigrid.core.mission import MissionSpace
from minigrid.wrappers import (
    FullyObsWrapper,
    ImgObsWrapper,
    OneHotPartialObsWrapper,
    RGBImgPartialObsWrapper,
    ViewSizeWrapper,
)

from rl_expire.vector.cells import is_cells
from rl_expire.vector.make import EnvConfig, make_envs
from rl_expire.vector.reading import LEFT_OUT, Reading, apply_reading, decide_reading

EMPTY, MEMORY = "MiniGrid-Empty-5x5-v0", "MiniGrid-MemoryS7-v0"


class Missions(gym.Env):
    """Gives the missions of a list in turn, and declares that there is only one."""

    action_space = spaces.Discrete(2)

    def __init__(self, missions: list[str], fails_at: int | None = None):
        self.missions, self.fails_at, self.episodes = missions, fails_at, 0
        mission = MissionSpace(mission_func=lambda: missions[0])
        self.observation_space = spaces.Dict({"mission": mission, "n": spaces.Discrete(2)})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode with the next mission."""
        if self.episodes == self.fails_at:
            raise RuntimeError("no such level")
        mission = self.missions[min(self.episodes, len(self.missions) - 1)]
        self.episodes += 1
        return {"mission": mission, "n": 0}, {}


def read(make: Any) -> gym.Env:
    """Return an environment, prepared for agents by its own first episodes."""
    return apply_reading(make(), decide_reading(make(), make))


def test_missions_that_change_reach_the_agent_whatever_the_space_declares() -> None:
    envs = make_envs("BabyAI-GoToObj-v0", 6, {})
    obs, _ = envs.reset(seed=0)
    assert len({tuple(ids) for ids in obs["mission"]}) > 1
    assert envs.metadata[LEFT_OUT] == {}


@pytest.mark.parametrize("at", [1, 20])
def test_one_different_mission_is_enough(at: int) -> None:
    space = read(lambda: Missions(["go"] * at + ["stop", "go"])).observation_space
    assert isinstance(space, spaces.Dict)
    assert set(space) == {"mission", "n"}


def test_a_mission_that_never_changes_is_left_out_and_named() -> None:
    envs = make_envs(MEMORY, 2, {})
    obs, _ = envs.reset(seed=0)
    assert set(obs) == {"image", "direction"}
    assert "matching object" in envs.metadata[LEFT_OUT]["mission"]
    assert envs.single_observation_space.contains({k: v[0] for k, v in obs.items()})


def test_a_declared_text_is_kept_even_if_it_never_changes() -> None:
    make = lambda: gym.make("MiniGrid-ObstructedMaze-1Dl-v0")  # noqa: E731
    assert len({make().reset(seed=seed)[0]["mission"] for seed in range(3)}) == 1
    assert decide_reading(make(), make).constant == {}


def test_an_environment_that_fails_loses_no_observation() -> None:
    space = read(lambda: Missions(["go"], fails_at=3)).observation_space
    assert isinstance(space, spaces.Dict)
    assert "mission" in set(space)


def test_no_episode_is_started_where_nothing_is_in_question() -> None:
    def fail() -> gym.Env:
        raise AssertionError("another environment was made")

    for env_id in ("CartPole-v1", "FrozenLake-v1"):
        env = gym.make(env_id)
        assert decide_reading(env, fail) == Reading()
        assert apply_reading(env, Reading()) is env


@pytest.mark.parametrize(
    ("wrap", "cells"),
    [
        (lambda env: env, True),
        (FullyObsWrapper, True),
        (ImgObsWrapper, True),
        (lambda env: ImgObsWrapper(ViewSizeWrapper(env, 3)), True),
        (lambda env: RGBImgPartialObsWrapper(env, tile_size=1), False),
        (lambda env: RGBImgPartialObsWrapper(env, tile_size=4), False),
        (lambda env: ImgObsWrapper(RGBImgPartialObsWrapper(env, tile_size=4)), False),
        (OneHotPartialObsWrapper, False),
    ],
    ids=["plain", "full", "no dict", "view", "tile 1", "tile 4", "image of tiles", "one-hot"],
)
def test_minigrid_cells_are_told_from_pictures(wrap: Any, cells: bool) -> None:
    env = read(lambda: wrap(gym.make(EMPTY)))
    space = env.observation_space
    obs, _ = env.reset(seed=0)
    if isinstance(space, spaces.Dict):
        space, obs = space["image"], obs["image"]
    assert is_cells(space) == cells
    assert space.contains(obs)
    assert space.high.max() == (10 if cells else 255)  # type: ignore[attr-defined]


def test_small_pictures_of_other_environments_are_no_cells() -> None:
    env = gym.make("CartPole-v1")
    env.observation_space = spaces.Box(0, 255, (32, 32, 3), np.uint8)
    assert decide_reading(env, lambda: env) == Reading()
    assert not is_cells(env.observation_space)


def test_processes_and_rendering_read_as_the_others_do() -> None:
    plain = make_envs(MEMORY, 2, {})
    own_process = make_envs(MEMORY, 2, {}, EnvConfig(vectorization="async"))
    assert own_process.single_observation_space == plain.single_observation_space
    assert own_process.metadata[LEFT_OUT] == plain.metadata[LEFT_OUT]
    own_process.close()
