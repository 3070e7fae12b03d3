"""Actions are labelled with the environment's own names, never with those of another task."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import gymnasium as gym
import pytest
from minigrid.core.actions import Actions
from torch import nn

from agents import MemorylessConfig, make_agent
from envs.corridor.env import CorridorEnv
from envs.instruction.env import InstructionEnv
from envs.portal.env import PortalEnv
from rl_expire.retention.action_names import action_names
from rl_expire.retention.record import trace_episode

NUMBERED = ("action 0", "action 1", "action 2")


class NamedEnv(gym.Env):
    """An environment with given attributes."""

    def __init__(self, metadata: dict[str, Any] | None = None, **attributes: Any):
        self.metadata = metadata or {}
        for name, value in attributes.items():
            setattr(self, name, value)


class Gaps(IntEnum):
    """Actions 0 and 2."""

    STAY = 0
    JUMP = 2


@pytest.mark.parametrize(
    ("env", "names"),
    [
        (NamedEnv(action_names=["up", "down", "stay"]), ("up", "down", "stay")),
        (NamedEnv({"action_names": ["up", "down", "stay"]}), ("up", "down", "stay")),
        (NamedEnv({"action_names": list("abc")}, action_names=list("xyz")), ("x", "y", "z")),
        (NamedEnv(actions=Actions), ("left", "right", "forward")),
        (CorridorEnv(), ("left", "right", "forward")),
        (PortalEnv(), ("left", "right", "forward")),
        (InstructionEnv(instructions=1, deeds=2), ("walk on", "ring", "light")),
    ],
    ids=["attribute", "metadata", "both", "enum with more members", "corridor", "portal", "text"],
)
def test_an_environment_names_its_own_actions(env: gym.Env, names: tuple[str, ...]) -> None:
    assert action_names(env, NUMBERED) == names


@pytest.mark.parametrize(
    "env",
    [
        NamedEnv(),
        NamedEnv(action_names=["up", "down"]),
        NamedEnv(action_names="abc"),
        NamedEnv(action_names=[1, 2, 3]),
        NamedEnv(actions=[0, 1, 2]),
        NamedEnv(actions=Gaps),
    ],
    ids=["no names", "too few", "a string", "numbers", "no enum", "gaps"],
)
def test_actions_without_usable_names_are_numbered(env: gym.Env) -> None:
    assert action_names(env, NUMBERED) == NUMBERED


def test_three_actions_of_an_environment_that_is_no_grid_are_numbered_in_the_trace() -> None:
    env = gym.make("Acrobot-v1", render_mode="rgb_array")
    agent: nn.Module = make_agent(
        env.observation_space, env.action_space, MemorylessConfig(width=8)
    )
    trace = trace_episode(agent, env, seed=0, max_steps=2)  # pyright: ignore[reportArgumentType]
    assert trace.action_names == NUMBERED
    env.close()


def test_wrappers_do_not_hide_the_names() -> None:
    env = gym.make("MiniGrid-Dynamic-Obstacles-5x5-v0")
    assert action_names(env, NUMBERED) == ("left", "right", "forward")
    assert action_names(gym.wrappers.TimeLimit(CorridorEnv(), 5), NUMBERED) == (
        "left",
        "right",
        "forward",
    )
