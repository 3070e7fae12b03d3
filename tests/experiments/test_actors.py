"""Training with actor processes, from the command line to the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiments.conftest import Call, read_json

WORDS = (
    *("--env.max-length", "6", "--agent.width", "16", "--agent.max-span", "40"),
    *("--agent.initial-fraction", "0.5", "--train.num-envs", "8", "--train.rollout-length", "16"),
    *("--eval.episodes", "3", "--no-video", "--train.actors", "1"),
)


@pytest.mark.parametrize("learner", ["ppo", "impala"])
def test_a_run_is_trained_and_evaluated(learner: str, call: Call, tmp_path: Path) -> None:
    words = (*WORDS, "--train.learner", learner, "--train.total-steps", "640", "--out", "run")
    done = call("train", "corridor", *words)
    assert done.code == 0, done.err
    assert read_json(tmp_path / "run" / "results.json")["train.steps"] == 640


def test_a_run_is_resumed_with_new_episodes_and_says_so(call: Call, tmp_path: Path) -> None:
    first = (*WORDS, "--train.total-steps", "256", "--out", "run")
    assert call("train", "corridor", *first).code == 0
    words = ("--resume", "run", "--train.total-steps", "512", "--no-video")
    done = call("train", "corridor", *words)
    assert done.code == 0, done.err
    assert (
        "actors are not saved in the middle of an episode: new episodes begin"
        in done.out + done.err
    )
    assert read_json(tmp_path / "run" / "results.json")["train.steps"] == 512


def test_environments_in_processes_of_their_own_are_refused(call: Call) -> None:
    words = ("--vectorization", "async", "--train.actors", "1")
    line = call("train", "CartPole-v1", *words).line
    assert "--vectorization is async, but actors are processes already: choose sync" in line
