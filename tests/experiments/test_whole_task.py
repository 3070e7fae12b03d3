"""The evaluation of a trained agent over its whole task."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from agents import MemorylessConfig, make_agent
from experiments.scoring import whole_task
from experiments.scoring.whole_task import EvalConfig, evaluate_all
from rl_expire.vector.make import EnvConfig, make_envs


@pytest.mark.parametrize(
    ("vectorization", "sizes"), [("auto", [4, 1, 4]), ("sync", [4])], ids=["native", "sync"]
)
def test_environments_are_made_only_to_be_played_or_asked(
    vectorization: Any, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(env_id: str, num_envs: int, *rest: Any) -> Any:
        made.append(num_envs)
        return make_envs(env_id, num_envs, *rest)

    monkeypatch.setattr(whole_task, "make_envs", count)
    env_id, config = "CartPole-v1", EnvConfig(vectorization=vectorization)
    envs = make_envs(env_id, 1, {})
    spaces = envs.single_observation_space, envs.single_action_space
    agent = make_agent(*spaces, MemorylessConfig(width=8, heads=1))
    few = EvalConfig(episodes=4, num_envs=4)
    scores = evaluate_all(agent, env_id, {}, (), few, torch.device("cpu"), config)
    assert made == sizes
    assert math.isnan(scores["oracle.return_mean"])


def test_without_a_time_limit_an_evaluation_ends_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(whole_task, "MAX_STEPS", 25)
    env_id = "CliffWalking-v1"
    envs = make_envs(env_id, 1, {})
    spaces = envs.single_observation_space, envs.single_action_space
    agent = make_agent(*spaces, MemorylessConfig(width=8, heads=1))
    few = EvalConfig(episodes=3, num_envs=2)
    scores = evaluate_all(agent, env_id, {}, (), few, torch.device("cpu"), EnvConfig())
    assert scores["eval.episodes"] == scores["eval.cut_episodes"] == 3
    assert scores["eval_sampled.return_mean"] <= scores["eval_sampled.cut_episodes"] * -25 / 3
    assert "warning: 3 of 3 episodes were not over after 25 steps" in capsys.readouterr().err
