"""A run of two processes, as torchrun starts them: its files, stopping, killing and resuming."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from rl_expire.learning.trainer import Trainer
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import TINY, Call, Outcome, call, read_json
from tests.support import same_tree
from tests.two_ranks import EndedError, as_torchrun

WORDS = (*TINY, "--ppo.epochs", "1", "--ppo.minibatches", "1", "--train.num-envs", "4")
WORDS += ("--train.rollout-length", "4", "--train.total-steps", "320", "--eval.episodes", "2")
"""Options of a run of 10 updates by two ranks."""


def train(cwd: Path, *words: str, signals: dict[tuple[int, int], int] | None = None) -> list[Any]:
    """Run a training command on two ranks; return their outcomes.

    Args:
        cwd: working directory.
        words: of the command line.
        signals: by rank and number of updates, the signal that the rank then sends to itself.
    """
    update = Trainer.update

    def on_rank(rank: int) -> Outcome:
        """Train on one rank."""

        def update_and_signal(trainer: Trainer[Any]) -> dict[str, float]:
            reported = update(trainer)
            number = (signals or {}).get((rank, trainer.updates))
            if number is not None:
                os.kill(os.getpid(), number)
            return reported

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "update", update_and_signal)
            return call("train", "corridor", *words, cwd=cwd)

    return as_torchrun(on_rank, launch="one")


def checkpoint(run: Path) -> dict[str, Any]:
    """Return the last checkpoint of a run, without its times."""
    state = RunFolder(run).checkpoints.load(lambda state: state)
    del state["seconds"]
    return state


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that was never stopped."""
    folder = tmp_path_factory.mktemp("ranks")
    first, second = train(folder, *WORDS, "--out", "whole")
    assert (first.code, second.code) == (0, 0), (first.err, second.err)
    assert "success" in first.out
    assert second.out == second.err == "", "only rank 0 prints"
    return folder / "whole"


def test_rank_0_writes_the_run_and_its_steps_are_those_of_both(whole: Path) -> None:
    found = checkpoint(whole)
    assert (found["trainer"]["updates"], found["trainer"]["schedule"]["steps"]) == (10, 320)
    assert len(found["others"]) == 1
    assert read_json(whole / "config.json")["torchrun"] == {"launch": "one", "processes": 2}
    assert read_json(whole / "results.json")["train.steps"] == 320
    lines = (whole / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 1, "every tenth update, by rank 0 alone"


def test_a_signal_to_one_rank_stops_both_and_resuming_is_exact(whole: Path, tmp_path: Path) -> None:
    outcomes = train(tmp_path, *WORDS, "--out", "run", signals={(1, 4): signal.SIGTERM})
    assert [o.code for o in outcomes] == [0, 0], outcomes
    assert "Stopped after 128 steps" in outcomes[0].out
    outcomes = train(tmp_path, "--resume", "run", "--no-video")
    assert [o.code for o in outcomes] == [0, 0], outcomes
    assert "new episodes" not in outcomes[0].out
    same_tree(checkpoint(tmp_path / "run"), checkpoint(whole))


def test_after_a_rank_was_killed_the_same_command_goes_on(whole: Path, tmp_path: Path) -> None:
    words = (*WORDS, "--out", "run", "--train.checkpoint-every", "2")
    first, second = train(tmp_path, *words, signals={(1, 5): signal.SIGKILL})
    assert isinstance(second, EndedError)
    assert first.code == 1
    assert "error: rank 0 has lost another rank" in first.err
    assert checkpoint(tmp_path / "run")["trainer"]["updates"] == 4
    first, second = train(tmp_path, *words)
    assert (first.code, second.code) == (0, 0), (first.err, second.err)
    assert "resuming run, which this launch of torchrun has begun" in first.out
    same_tree(checkpoint(tmp_path / "run"), checkpoint(whole))
    outcomes = train(tmp_path, *words, "--seed", "2")
    assert "--seed 2 contradicts" in outcomes[0].line


def test_a_run_of_another_launch_is_not_continued(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    config = run / "config.json"
    config.write_text(config.read_text().replace('"launch": "one"', '"launch": "two"'))
    first, second = train(tmp_path, *WORDS, "--out", "run")
    assert "--out run exists already" in first.line
    assert second.code == 1


def test_another_number_of_ranks_continues_with_new_episodes(
    whole: Path, tiny_run: Path, tmp_path: Path, call: Call
) -> None:
    for name, made in (("by two", whole), ("by one", tiny_run)):
        shutil.copytree(made, tmp_path / name)
    more = ("--train.total-steps", "704", "--no-video")
    alone = call("train", "corridor", "--resume", "by two", *more)
    assert alone.code == 0, alone.err
    assert "saved by 2 processes, and continued by 1: new episodes begin" in alone.out
    assert checkpoint(tmp_path / "by two")["trainer"]["updates"] == 10 + 384 // 16
    assert "torchrun" not in read_json(tmp_path / "by two" / "config.json")
    first, second = train(tmp_path, "--resume", "by one", *more)
    assert (first.code, second.code) == (0, 0), (first.err, second.err)
    assert "saved by 1 processes, and continued by 2: new episodes begin" in first.out
    assert checkpoint(tmp_path / "by one")["trainer"]["updates"] == 4 + 1
