"""Every task, from its command line to its run folder, video and scores by level."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.tasks import TASKS, task_of
from tests.experiments.conftest import Call, read_json

SMALL = {
    "corridor": ("--env.max-length", "6"),
    "portal": ("--env.rooms", "2"),
    "collision": ("--env.length", "12", "--env.size", "4"),
    "tmaze": ("--env.max-length", "6"),
    "instruction": (
        *("--env.instructions", "1", "--env.decoys", "1"),
        *("--env.min-distance", "2", "--env.max-distance", "16"),
    ),
}
TINY = (
    *("--agent.width", "16", "--agent.max-span", "40", "--agent.initial-fraction", "0.5"),
    *("--train.num-envs", "8"),
    *("--train.total-steps", "128", "--train.rollout-length", "16", "--eval.episodes", "3"),
)
FEW = ("--num-envs", "2", "--repeats", "1")
tasks = pytest.mark.parametrize("task", TASKS)


@tasks
def test_a_run_is_evaluated_filmed_scored_by_level_timed_and_resumed(
    task: str, call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = call("train", task, *TINY, *SMALL[task], "--out", "run")
    assert done.code == 0, done.err
    results = read_json(run / "results.json")
    assert results["env_id"] == TASKS[task].env_id
    assert results["oracle.return_mean"] > 0
    assert results["eval.recall_per_layer"]
    assert (run / "retention.mp4").stat().st_size > 0
    assert (run / "retention.html").stat().st_size > 0
    level = TASKS[task].scored_at[0]
    done = call("levels", "run", "--episodes", "2", "--levels", str(level))
    assert done.code == 0, done.err
    assert [row["level"] for row in read_json(run / "levels.json")["levels"]] == [level]
    assert call("bench", "act", "--run", "run", "--lengths", str(level), *FEW).code == 0
    done = call("train", task, "--resume", "run", "--no-video", "--train.total-steps", "256")
    assert done.code == 0, done.err
    assert read_json(run / "results.json")["train.steps"] == 256


@tasks
def test_every_task_is_found_by_its_environment(task: str) -> None:
    assert task_of(TASKS[task].env_id) is TASKS[task]


def test_an_environment_without_a_task_is_refused() -> None:
    known = "choose a run of corridor, portal, instruction, collision, tmaze"
    with pytest.raises(ValueError, match=known):
        task_of("CartPole-v1")
