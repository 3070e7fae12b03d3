"""--resume: exact, with the run's own options, whatever ended the run before."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_expire.learning.trainer import Trainer
from rl_expire.runs import checkpoint
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import call as call_script
from tests.support import same_tree

SCRIPT = Path(__file__).parents[2] / "experiments" / "corridor.py"
Call = Callable[..., Any]


def metrics(run: Path) -> list[dict[str, Any]]:
    """Every line, without the one field that a clock decides."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        assert line.pop("seconds") > 0
    return lines


def state(run: Path) -> Any:
    """The last checkpoint's trainer: weights, optimisers, environments, memory, random numbers."""
    return RunFolder(run).checkpoints.load(lambda state: state)["trainer"]


def test_the_same_command_twice_gives_the_same_run(
    tiny: list[str], tiny_run: Path, tmp_path: Path, call: Call
) -> None:
    assert call("corridor.py", *tiny, "--out", "again").code == 0
    assert metrics(tmp_path / "again") == metrics(tiny_run)
    same_tree(state(tmp_path / "again"), state(tiny_run))
    results = [
        json.loads((run / "results.json").read_text()) for run in (tmp_path / "again", tiny_run)
    ]
    for result in results:
        for name in ("train.seconds", "train.steps_per_second"):
            del result[name]
    assert results[0] == results[1]


def test_a_run_that_stopped_goes_on_just_as_if_it_had_not(
    tiny: list[str], tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*tiny, "--train.total-steps", "3072"]
    assert call("corridor.py", *words, "--out", "whole").code == 0
    assert len(metrics(tmp_path / "whole")) == 3
    plain = Trainer.update

    def told_to_end(trainer: Trainer[Any]) -> dict[str, float]:
        reported = plain(trainer)
        if trainer.updates in (7, 15):
            os.kill(os.getpid(), signal.SIGTERM)
        return reported

    monkeypatch.setattr(Trainer, "update", told_to_end)
    done = call("corridor.py", *words, "--out", "parts")
    assert done.code == 0, done.err
    assert "Stopped after 896 steps" in done.out
    assert "corridor.py --resume parts" in done.out
    # What was written after the checkpoint, as a killed process leaves it, is cut off.
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"steps": 1280, "seconds": 1.0}\n{"steps": 14')
    assert call("corridor.py", "--resume", "parts", "--no-video").code == 0
    done = call("corridor.py", "--resume=parts", *words)
    assert done.code == 0, done.err
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
    same_tree(state(tmp_path / "parts"), state(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("words", "says"),
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
def test_options_that_contradict_the_run_are_refused_by_name(
    words: str, says: str, own_run: Path, call: Call, files: Callable[[], dict[str, int]]
) -> None:
    """Defaults as well: 200, 64, 128, 1000 are what a new run would have."""
    before = files()
    assert says in call("corridor.py", "--resume", "run", *words.split()).line
    assert files() == before
    assert own_run.exists()


def test_latest_is_the_run_of_this_task_that_was_saved_last(
    own_run: Path, tmp_path: Path, call: Call
) -> None:
    assert "--resume latest: no run of" in call("corridor.py", "--resume", "latest").line
    for name in ("new", "old"):
        shutil.copytree(own_run, tmp_path / "runs" / name)
    for path in RunFolder(tmp_path / "runs" / "old").checkpoints.paths():
        os.utime(path, (1, 1))
    done = call("corridor.py", "--resume", "latest", "--no-video")
    assert done.code == 0, done.err
    assert "--resume latest: going on with runs/new" in done.out
    assert "--resume latest: no run of" in call("portal.py", "--resume", "latest").line


def test_a_run_that_is_being_trained_is_left_alone(own_run: Path, call: Call) -> None:
    with RunFolder(own_run).lock():
        line = call("corridor.py", "--resume", "run").line
    assert "another process is training run" in line


def test_with_a_damaged_newest_checkpoint_the_one_before_is_used_and_said(
    own_run: Path, call: Call
) -> None:
    newest, *_ = RunFolder(own_run).checkpoints.paths()
    newest.write_bytes(newest.read_bytes()[:-1])
    done = call("corridor.py", "--resume", "run", "--no-video")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert "00000004.safetensors cannot be used" in line
    assert "using 00000000.safetensors" in line


def test_a_disk_that_has_space_again_loses_nothing(
    tiny: list[str], tiny_run: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failed = checkpoint.write_through, []

    def sometimes_full(data: bytes, path: Path) -> None:
        if "00000002" in path.name or "00000003" in path.name:
            failed.append(path.name)
            raise OSError(28, "No space left on device")
        write(data, path)

    monkeypatch.setattr(checkpoint, "write_through", sometimes_full)
    done = call("corridor.py", *tiny, "--out", "again", "--train.checkpoint-every", "1")
    assert done.code == 0, done.err
    assert len(failed) == 2
    assert done.out.count("warning: no checkpoint could be written (No space left") == 2
    assert "there is that of update 1; training goes on, and tries again" in done.out
    assert metrics(tmp_path / "again") == metrics(tiny_run)
    same_tree(state(tmp_path / "again"), state(tiny_run))


class Started:
    """A run in a process that was started for it."""

    def __init__(self, words: list[str], cwd: Path):
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *words],
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill it; nothing else may have ended it."""
        self.process.kill()
        _, err = self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL, err


class Forked:
    """A run in a copy of this process, which has imported everything already."""

    def __init__(self, words: list[str], cwd: Path):
        self.process = multiprocessing.get_context("fork").Process(
            target=call_script, args=("corridor.py", *words), kwargs={"cwd": cwd}
        )
        self.process.start()

    def running(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """Kill it; nothing else may have ended it."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(("kills", "start"), [(2, Started), (20, Forked)])
def test_killed_at_random_moments_it_goes_on_each_time(
    kills: int, start: type[Started | Forked], tiny: list[str], tmp_path: Path, call: Call
) -> None:
    dice, run = random.Random(kills), tmp_path / "run"
    steps = str(128 * 20 * (kills + 1))
    words = [*tiny, "--train.total-steps", steps, "--train.checkpoint-every", "3"]
    words += ["--ppo.epochs", "1", "--ppo.minibatches", "1"]
    done = call("corridor.py", *words, "--out", "whole")
    assert done.code == 0, done.err
    last = -1
    for _ in range(kills):
        if RunFolder(run).checkpoints.exist:
            go_on = ["--resume", "run", "--no-video"]
        else:
            shutil.rmtree(run, ignore_errors=True)  # killed before the first checkpoint
            go_on = [*words, "--out", "run"]
        process = start(go_on, tmp_path)
        # From when it begins to write: importing Torch is not what is tested.
        before = checkpoints(run)
        while process.running() and checkpoints(run) == before:
            time.sleep(0.01)
        time.sleep(dice.random() * 0.1)
        process.kill()
        saved = state(run)["updates"] if RunFolder(run).checkpoints.exist else -1
        assert saved >= last, "nothing that was saved is lost"
        last = saved
    done = call("corridor.py", "--resume", "run", "--no-video")
    assert done.code == 0, done.err
    assert metrics(run) == metrics(tmp_path / "whole")
    same_tree(state(run), state(tmp_path / "whole"))


def checkpoints(run: Path) -> list[str]:
    """The names of the checkpoints there are."""
    return [path.name for path in RunFolder(run).checkpoints.paths()]
