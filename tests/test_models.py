"""The trained agents in `docs/models` can be opened, and still solve their tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.policy import load_policy
from experiments.open_run import read_run
from rl_expire.runs.policy import WEIGHTS
from rl_expire.scoring.evaluation import evaluate
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import EnvConfig, make_envs
from tests.pages import DOCS
from tests.support import CPU

MODELS = sorted(path.parent for path in DOCS.glob(f"models/*/{WEIGHTS}"))
SHORT = {"corridor": 20, "instruction": 40, "tmaze": 10}
"""Difficulty of the episodes that are played, so that they take no time."""
EPISODES = 8


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_shipped_agent_solves_its_task(model: Path) -> None:
    _, config = read_run(model)
    env = config["env"]
    options = env["options"] | {env["level"][0]: SHORT[model.name]}
    policy = load_policy(model)
    with closing_envs(make_envs(env["id"], EPISODES, options, EnvConfig.from_json(env))) as envs:
        assert policy.space == envs.single_observation_space
        score = evaluate(policy.agent, envs, EPISODES, seed=1, greedy=True, device=CPU)
    assert score.success == 1.0
    assert (model / WEIGHTS).stat().st_size < 2**20
    assert f"at commit {config['commit']}" in (model / "README.md").read_text()


def test_there_is_a_shipped_agent_for_each_short_task() -> None:
    assert {model.name for model in MODELS} == SHORT.keys()
