"""Resuming is exact, keeps the options of the run, and works however the run ended."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rl_expire.learning.trainer import Trainer
from rl_expire.runs.checkpoint import save_tree
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import TINY, Call, Files, change_config, read_json
from tests.experiments.conftest import call as call_in
from tests.support import same_tree


def metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of `metrics.jsonl` without their times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        assert line.pop("seconds") > 0
    return lines


def state(run: Path) -> Any:
    """Return the last trainer state: weights, optimizers, environments, memory, random numbers."""
    return RunFolder(run).checkpoints.load(lambda state: state)["trainer"]


def test_the_same_command_twice_gives_the_same_run(
    tiny_run: Path, tmp_path: Path, call: Call
) -> None:
    assert call("train", "corridor", *TINY, "--out", "again").code == 0
    assert metrics(tmp_path / "again") == metrics(tiny_run)
    same_tree(state(tmp_path / "again"), state(tiny_run))
    results = [read_json(run / "results.json") for run in (tmp_path / "again", tiny_run)]
    for result in results:
        for key in ("train.seconds", "train.steps_per_second", "commit"):
            del result[key]
    assert results[0] == results[1]


def test_a_finished_run_can_go_on_with_a_larger_budget(own_run: Path, call: Call) -> None:
    more = ("--resume", "run", "--no-video", "--train.total-steps", "2048")
    done = call("train", "corridor", *more)
    assert done.code == 0, done.err
    assert read_json(own_run / "results.json")["train.steps"] == 2048
    lines = metrics(own_run)
    # Every tenth update, of 8 * 16 steps each, and the last of each session.
    assert [line["steps"] for line in lines] == [512, 10 * 8 * 16, 2048]
    assert {"success", "success_longest", "kept/0", "span_other", "phase"} <= lines[-1].keys()


def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*TINY, "--train.rollout-length", "8", "--train.total-steps", "1536")
    assert call("train", "corridor", *words, "--out", "whole").code == 0
    assert len(metrics(tmp_path / "whole")) == 3
    update = Trainer.update

    def update_then_stop(trainer: Trainer[Any]) -> dict[str, float]:
        reported = update(trainer)
        if trainer.updates in (7, 15):
            os.kill(os.getpid(), signal.SIGTERM)
        return reported

    monkeypatch.setattr(Trainer, "update", update_then_stop)
    done = call("train", "corridor", *words, "--out", "parts")
    assert done.code == 0, done.err
    assert "Stopped after 448 steps" in done.out
    assert "Go on with:  rl-expire train corridor --resume parts" in done.out
    # A killed process may have written lines after its last checkpoint, the last one in part.
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"steps": 640, "seconds": 1.0}\n{"steps": 70')
    assert call("train", "corridor", "--resume", "parts", "--no-video").code == 0
    done = call("train", "corridor", "--resume=parts", *words)
    assert done.code == 0, done.err
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
    same_tree(state(tmp_path / "parts"), state(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed 2", "--seed 2 contradicts --resume run, which was made with 1"),
        ("--env.max-length 200", "--env.max-length 200 contradicts --resume run"),
        ("--agent lstm", "--agent lstm contradicts --resume run, which was made with expire-span"),
        ("--agent.width=64", "--agent.width 64 contradicts --resume run, which was made with 16"),
        ("--train.num-envs 128", "--train.num-envs 128 contradicts"),
        ("--forgetting.method never", "--forgetting.method never contradicts"),
        ("--eval.episodes 1000", "--eval.episodes 1000 contradicts"),
        ("--out other", "--out other makes a new run"),
        ("--train.keep-last 0", "--train.keep-last is 0: choose 1 or more"),
    ],
)
def test_options_that_contradict_the_run_are_refused(
    words: str, message: str, own_run: Path, call: Call, files: Files
) -> None:
    """The defaults of a new run too: 200, 64, 128 and 1000 are defaults."""
    before = files()
    assert message in call("train", "corridor", "--resume", "run", *words.split()).line
    assert files() == before
    assert own_run.exists()


def test_latest_is_the_run_of_this_task_that_was_saved_last(
    own_run: Path, tmp_path: Path, call: Call
) -> None:
    for name in ("new", "old"):
        shutil.copytree(own_run, tmp_path / "runs" / name)
    for path in RunFolder(tmp_path / "runs" / "old").checkpoints.paths():
        os.utime(path, (1, 1))
    done = call("train", "corridor", "--resume", "latest", "--no-video")
    assert done.code == 0, done.err
    assert "--resume latest: resuming runs/new" in done.out
    assert "--resume latest: no run of" in call("train", "portal", "--resume", "latest").line


def test_a_run_that_another_process_is_training_is_left_alone(own_run: Path, call: Call) -> None:
    with RunFolder(own_run).lock():
        line = call("train", "corridor", "--resume", "run").line
    assert "another process is training run" in line


def test_with_a_damaged_newest_checkpoint_the_one_before_is_used(own_run: Path, call: Call) -> None:
    newest, *_ = RunFolder(own_run).checkpoints.paths()
    newest.write_bytes(newest.read_bytes()[:-1])
    done = call("train", "corridor", "--resume", "run", "--no-video")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert "00000004.safetensors cannot be used" in line
    assert "using 00000000.safetensors" in line


def incomplete_config(run: Path) -> None:
    (run / "config.json").write_text('{"env": {"id": "RLExpire/Corridor-v0"}}')


def unknown_option(run: Path) -> None:
    change_config(run, "ppo", "magic", value=True)


def other_environment(run: Path) -> None:
    change_config(run, "env", "id", value="RLExpire/Elsewhere-v0")


def damaged_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        path.write_bytes(b"nonsense")


def checkpoint_of_something_else(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        save_tree({"trainer": {"agent": {}}, "seconds": 1.0}, path)


def checkpoint_of_an_earlier_version(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        path.rename(path.with_name("last.pt"))


BROKEN: dict[Callable[[Path], None], str] = {
    incomplete_config: "is not the configuration of a run",
    unknown_option: "does not have the options of this version",
    other_environment: "is a run of RLExpire/Elsewhere-v0",
    damaged_checkpoint: "it is cut off, or not a safetensors file",
    checkpoint_of_something_else: "cannot be used: the state lacks",
    checkpoint_of_an_earlier_version: "was trained with an earlier version",
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda function: function.__name__)
def test_a_broken_run_is_not_resumed_and_left_as_it_is(
    damage: Callable[[Path], None], own_run: Path, call: Call, files: Files
) -> None:
    damage(own_run)
    before = files()
    assert BROKEN[damage] in call("train", "corridor", "--resume", "run").line
    assert files() == before


class NewProcess:
    """A run in a new process."""

    def __init__(self, words: Sequence[str], cwd: Path):
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "experiments", "train", "corridor", *words],
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill the process, which must not have ended before."""
        self.process.kill()
        _, err = self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL, err


class ForkedProcess:
    """A run in a copy of this process, which has imported everything already."""

    def __init__(self, words: Sequence[str], cwd: Path):
        self.process = multiprocessing.get_context("fork").Process(
            target=call_in, args=("train", "corridor", *words), kwargs={"cwd": cwd}
        )
        self.process.start()

    def running(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """Kill the process, which must not have ended before."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL


def checkpoint_names(run: Path) -> list[str]:
    """Return the names of the checkpoints of a run."""
    return [path.name for path in RunFolder(run).checkpoints.paths()]


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "start"), [(1, NewProcess), (5, ForkedProcess)])
def test_a_run_that_is_killed_at_random_moments_ends_like_one_that_is_not(
    kills: int, start: type[NewProcess | ForkedProcess], tmp_path: Path, call: Call
) -> None:
    dice, run = random.Random(kills), tmp_path / "run"
    words = (*TINY, "--ppo.epochs", "1", "--ppo.minibatches", "1", "--train.checkpoint-every", "3")
    words += ("--train.num-envs", "4", "--train.rollout-length", "4")
    words += ("--train.total-steps", str(4 * 4 * 20 * (kills + 1)))
    done = call("train", "corridor", *words, "--out", "whole")
    assert done.code == 0, done.err
    last = -1
    for _ in range(kills):
        if RunFolder(run).checkpoints.exist:
            session = ("--resume", "run", "--no-video")
        else:
            shutil.rmtree(run, ignore_errors=True)  # killed before the first checkpoint
            session = (*words, "--out", "run")
        process = start(session, tmp_path)
        # Wait until it begins to write: the time to import Torch is not what is tested.
        before = checkpoint_names(run)
        while process.running() and checkpoint_names(run) == before:
            time.sleep(0.01)
        time.sleep(dice.random() * 0.1)
        process.kill()
        saved = state(run)["updates"] if RunFolder(run).checkpoints.exist else -1
        assert saved >= last, "a checkpoint was lost"
        last = saved
    done = call("train", "corridor", "--resume", "run", "--no-video")
    assert done.code == 0, done.err
    assert metrics(run) == metrics(tmp_path / "whole")
    same_tree(state(run), state(tmp_path / "whole"))
