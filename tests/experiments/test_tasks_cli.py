"""Every task's experiment, from its command line to its run folder, video and scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.experiments.conftest import Call, on_path

with on_path():
    from experiments.tasks import EXPERIMENTS, experiment_of

SMALL = {
    "corridor": ("--env.max-length", "6"),
    "portal": ("--env.rooms", "2"),
    "instruction": ("--env.instructions", "1", "--env.min-distance", "2"),
}
TINY = [
    *("--agent.width", "16", "--agent.max-span", "40", "--train.num-envs", "8"),
    *("--train.total-steps", "256", "--train.rollout-length", "16", "--eval.episodes", "5"),
]
tasks = pytest.mark.parametrize("task", EXPERIMENTS)


@tasks
def test_a_run_leaves_results_and_a_video_and_can_be_scored(
    task: str, call: Call, tmp_path: Path
) -> None:
    done = call(f"{task}.py", *TINY, *SMALL[task], "--out", "run")
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["env_id"] == EXPERIMENTS[task].env_id
    assert results["oracle.return_mean"] > 0
    assert results["eval.recall_per_layer"]
    assert (tmp_path / "run" / "retention.mp4").stat().st_size > 0
    level = EXPERIMENTS[task].scored_at[0]
    done = call("levels.py", "run", "--episodes", "2", "--levels", str(level))
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "run" / "levels.json").read_text())
    assert [row["level"] for row in found["levels"]] == [level]
    done = call("bench.py", "act", "--run", "run", "--lengths", str(level), "--num-envs", "2")
    assert done.code == 0, done.err
    few = ("--num-envs", "2", "--updates", "1", "--repeats", "1")
    done = call("bench.py", "agents", "--runs", "run", *few)
    assert done.code == 0, done.err


@tasks
def test_its_options_are_those_of_its_environment(task: str, call: Call) -> None:
    done = call(f"{task}.py", *SMALL[task][:1], "0")
    assert done.line.startswith(f"{task}.py: error: {SMALL[task][0]}=0 is")


@tasks
def test_every_task_is_found_by_its_environment(task: str) -> None:
    assert experiment_of(EXPERIMENTS[task].env_id) is EXPERIMENTS[task]


def test_an_environment_without_experiment_is_refused() -> None:
    with pytest.raises(ValueError, match="choose a run of corridor, portal, instruction"):
        experiment_of("CartPole-v1")
