"""Any reward is a success in MiniGrid's environments, unless a wrapper adds others."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers the environments)
import pytest
from minigrid.envs.empty import EmptyEnv
from minigrid.wrappers import ActionBonus, RGBImgPartialObsWrapper

from rl_expire.vector.minigrid_success import rewards_only_success


class OwnMaze(EmptyEnv):
    """A MiniGrid environment of somebody else."""


def own_maze(**options: Any) -> gym.Env:
    """Return it from a function, so that only the environment itself shows what it is."""
    return OwnMaze(**options)


gym.register("OwnMaze-v0", entry_point=OwnMaze)
gym.register("MadeMaze-v0", entry_point=own_maze)


@pytest.mark.parametrize(
    ("env_id", "wrap", "only"),
    [
        ("MiniGrid-Empty-5x5-v0", None, True),
        ("BabyAI-GoToRedBallNoDists-v0", None, True),
        ("OwnMaze-v0", None, True),
        ("MadeMaze-v0", None, True),
        ("MiniGrid-Empty-5x5-v0", RGBImgPartialObsWrapper, True),
        ("MiniGrid-Empty-5x5-v0", ActionBonus, False),
        ("CartPole-v1", None, False),
    ],
)
def test_only_minigrid_without_bonus_rewards_nothing_but_success(
    env_id: str, wrap: Any, only: bool
) -> None:
    make = partial(gym.make, env_id)
    found = rewards_only_success(gym.spec(env_id), lambda: wrap(make()) if wrap else make())
    assert found == only


def test_no_other_environment_is_made() -> None:
    def fail() -> gym.Env:
        raise AssertionError("it was made")

    assert not rewards_only_success(gym.spec("CartPole-v1"), fail)


def test_an_environment_that_fails_is_no_error_here() -> None:
    def fail() -> gym.Env:
        raise RuntimeError("no such level")

    assert not rewards_only_success(gym.spec("MadeMaze-v0"), fail)
