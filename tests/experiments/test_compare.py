"""`rl-expire compare` trains what is missing, skips what is there, and reports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch

import pytest

from experiments.comparison.earlier import read_earlier
from experiments.comparison.runs import RL_EXPIRE, Run
from experiments.scoring.measures import MEASURES
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import Call, Files, read_json
from tests.experiments.conftest import call as call_in

WORDS = (
    *("corridor", "--agents", "expire-span", "transformer-xl:3", "--seeds", "1", "--out", "cmp"),
    *("--total-steps", "256", "--levels", "6", "12"),
)
TINY = (
    *("--", "--agent.width", "16", "--env.max-length", "6", "--train.num-envs", "8"),
    *("--train.rollout-length", "16", "--eval.episodes", "7"),
)
FILES = {
    *("comparison.json", "table.md", "learning_curves.png", "learning_curves.svg"),
    *("score_against_memory.png", "score_against_length.svg", "speed_and_bytes.png"),
}
DOCS = Path(__file__).parents[2] / "docs" / "results"


class InProcess:
    """Stands in for the process of a run, and runs its command within this process."""

    def __init__(self, command: list[str], *, stdout: BinaryIO, **_: Any):
        done = call_in(*command[len(RL_EXPIRE) :], cwd=Path.cwd())
        stdout.write((done.out + done.err).encode())
        self.code = done.code

    def poll(self) -> int:
        """Return the exit code."""
        return self.code


@contextmanager
def processes_made_by(make: Callable[..., Any]) -> Iterator[list[list[str]]]:
    """Let `make` start the processes of runs; yield the words after `rl-expire` of each."""
    started: list[list[str]] = []
    popen = subprocess.Popen

    def start(command: list[str], *words: Any, **options: Any) -> Any:
        if command[0] != sys.executable:
            return popen(command, *words, **options)
        started.append(command[len(RL_EXPIRE) :])
        return make(command, *words, **options)

    with patch.object(subprocess, "Popen", start):
        yield started


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison; tests must not change it."""
    folder = tmp_path_factory.mktemp("compared")
    with processes_made_by(InProcess):
        done = call_in("compare", *WORDS, *TINY, cwd=folder)
    assert done.code == 0, done.err
    return folder / "cmp"


@pytest.fixture
def own(finished: Path, tmp_path: Path) -> Path:
    """A copy of the comparison, at `tmp_path / "cmp"`."""
    return Path(shutil.copytree(finished, tmp_path / "cmp"))


def test_a_comparison_leaves_numbers_table_and_plots(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} >= FILES
    comparison = read_json(finished / "comparison.json")
    assert [row["variant"] for row in comparison["rows"]] == ["expire-span", "transformer-xl:3"]
    assert {"commit", "hardware", "commit_of_runs", "hardware_of_runs"} <= comparison.keys()
    assert comparison["command"].startswith("rl-expire compare corridor --agents")
    scores = comparison["rows"][1]["scores"]
    assert scores.keys() == {measure.key for measure in MEASURES}
    assert [e["mean"] for e in scores["eval.kept_at_decision_per_layer"]] == [4.0]
    assert scores["eval.success"]["n"] == 1
    assert scores["eval.success"]["low"] is None
    assert [level["level"] for level in comparison["runs"][0]["levels"]] == [6, 12]


def test_the_table_has_a_row_per_agent_with_the_command_behind_it(finished: Path) -> None:
    runs = read_json(finished / "comparison.json")["runs"]
    lines = (finished / "table.md").read_text().splitlines()
    header, _, *rows = lines[:4]
    columns = [name.strip() for name in header.split("|")[1:-1]]
    assert {measure.column for measure in MEASURES if measure.column} < set(columns)
    assert rows[0].startswith("| expire-span |")
    assert rows[1].startswith("| transformer-xl:3 |")
    command = "python experiments/corridor.py --agent transformer-xl --agent.window 3 --seed 1"
    assert command in rows[1]
    successes = [row["success"] for row in runs[1]["levels"]]
    by_level = lines[lines.index("| agent | 6 | 12 |") + 3]
    assert by_level == f"| transformer-xl:3 | {successes[0]:.3f} | {successes[1]:.3f} |"


def test_compared_agents_have_about_as_many_parameters(finished: Path) -> None:
    rows = read_json(finished / "comparison.json")["rows"]
    counts = [row["parameters"] for row in rows]
    assert max(counts) < 1.1 * min(counts)


def test_finished_runs_are_skipped(own: Path, call: Call) -> None:
    def times() -> dict[Path, int]:
        runs = [path for path in own.rglob("*") if path.parent != own and path.is_file()]
        return {path: path.stat().st_mtime_ns for path in runs}

    before = times()
    with processes_made_by(InProcess) as commands:
        done = call("compare", *WORDS, *TINY)
    assert done.code == 0, done.err
    assert commands == []
    assert times() == before


def test_earlier_runs_are_reported_and_not_made_again(
    finished: Path, call: Call, tmp_path: Path
) -> None:
    words = list(WORDS)
    words[words.index("expire-span")] = "memoryless"
    words[words.index("transformer-xl:3")] = "expire-span"
    words[words.index("cmp")] = "new"
    with processes_made_by(InProcess) as commands:
        done = call("compare", *words, "--earlier", str(finished / "comparison.json"), *TINY)
    assert done.code == 0, done.err
    assert [command[0] for command in commands] == ["train", "levels"]
    assert "memoryless" in commands[0]
    earlier = read_json(finished / "comparison.json")["runs"]
    runs = read_json(tmp_path / "new" / "comparison.json")["runs"]
    assert [run["variant"] for run in runs] == ["memoryless", "expire-span", "transformer-xl:3"]
    assert runs[1:] == earlier


def test_earlier_runs_must_have_been_made_with_the_same_options(
    finished: Path, call: Call, tmp_path: Path
) -> None:
    earlier = ("--earlier", str(finished / "comparison.json"))
    line = call("compare", *WORDS, *earlier, *TINY, "--ppo.gamma", "0.9").line
    assert "--earlier has expire-span, seed 1, made with --ppo.gamma 0.995, not 0.9" in line
    old = read_json(finished / "comparison.json")
    for record in old["runs"]:
        del record["options"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    line = call("compare", *WORDS, "--earlier", "old.json", *TINY).line
    assert "--earlier has expire-span, seed 1, of a version that did not record all" in line
    line = call("compare", *WORDS, "--earlier", str(finished / "table.md"), *TINY).line
    assert "table.md is not a comparison: choose the comparison.json of one" in line


def test_comparisons_of_earlier_versions_are_read_under_the_present_names() -> None:
    """Those in the documentation: their results have `at_max_length` for `at_hardest`."""
    paths = sorted(DOCS.glob("*/comparison.json"))
    assert paths
    for path in paths:
        for record in read_earlier(path):
            assert not any("max_length" in key for key in record["results"])
            assert 0 <= record["results"]["eval.success_at_hardest"] <= 1


def test_results_of_an_earlier_version_are_reported(own: Path, call: Call) -> None:
    path = own / "expire-span" / "seed-1" / "results.json"
    path.write_text(path.read_text().replace("_at_hardest", "_at_max_length"))
    with processes_made_by(InProcess) as commands:
        done = call("compare", *WORDS, *TINY)
    assert done.code == 0, done.err
    assert commands == []
    for row in read_json(own / "comparison.json")["rows"]:
        assert row["scores"]["eval.success_at_hardest"]["n"] == 1


def test_interrupted_runs_are_resumed_and_those_without_checkpoint_started(
    own: Path, call: Call
) -> None:
    before = time.time_ns()
    interrupted = own / "expire-span" / "seed-1"
    (interrupted / "results.json").unlink()
    started = own / "transformer-xl-3" / "seed-1"
    config = (started / "config.json").read_text()
    shutil.rmtree(started)  # as if killed before the first checkpoint
    (started / "checkpoints").mkdir(parents=True)
    (started / "config.json").write_text(config)
    with processes_made_by(InProcess) as commands:
        done = call("compare", *WORDS, *TINY)
    assert done.code == 0, done.err
    assert sorted("--resume" in words for words in commands) == [False, False, False, True]
    for folder in (interrupted, started):
        assert read_json(folder / "results.json")["train.steps"] == 256
        # The scores that were there are those of other weights.
        assert (folder / "levels.json").stat().st_mtime_ns > before


def test_a_run_that_fails_is_named_and_the_others_are_reported(own: Path, call: Call) -> None:
    broken = own / "expire-span" / "seed-1"
    (broken / "results.json").unlink()
    for path in RunFolder(broken).checkpoints.paths():
        path.write_bytes(b"nonsense")
    with processes_made_by(InProcess):
        done = call("compare", *WORDS, *TINY)
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert line.startswith("failed: expire-span, seed 1: rl-expire: error: ")
    assert "cannot be used" in line
    rows = read_json(own / "comparison.json")["rows"]
    assert [row["variant"] for row in rows] == ["transformer-xl:3"]


def test_a_comparison_that_is_stopped_saves_its_runs_and_reports_the_finished_ones(
    own: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = own / "expire-span" / "seed-1"
    shutil.rmtree(interrupted)
    sleep = time.sleep

    def sleep_or_stop(seconds: float) -> None:
        del seconds
        sleep(0.1)
        if (interrupted / "metrics.jsonl").exists():
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(time, "sleep", sleep_or_stop)
    longer = [word.replace("256", "1000000") for word in WORDS]
    config = own / "transformer-xl-3" / "seed-1" / "config.json"
    config.write_text(config.read_text().replace('"total_steps": 256', '"total_steps": 1000000'))
    with processes_made_by(subprocess.Popen) as commands:
        done = call("compare", *longer, *TINY)
    assert done.code == 130
    assert "Repeat the command to continue" in done.out
    assert len(commands) == 1
    assert RunFolder(interrupted).checkpoints.exist
    assert not (interrupted / "results.json").exists()
    assert "Stopped after" in interrupted.with_name("seed-1.log").read_text()
    rows = read_json(own / "comparison.json")["rows"]
    assert [row["variant"] for row in rows] == ["transformer-xl:3"]


def test_runs_made_with_other_options_are_not_mixed(own: Path, call: Call) -> None:
    for words, message in (
        ((*WORDS, *TINY, "--env.num-cues", "2"), "was made with --env.num-cues 1, not 2"),
        ((*WORDS, *TINY, "--ppo.clip", "0.1"), "was made with --ppo.clip 0.2, not 0.1"),
        ((*WORDS, "--total-steps", "99", *TINY), "was made with --train.total-steps 256, not 99"),
    ):
        assert message in call("compare", *words).line
    assert (own / "expire-span" / "seed-1" / "results.json").exists()


def test_defaults_that_have_changed_since_are_not_mixed(own: Path, call: Call) -> None:
    path = own / "expire-span" / "seed-1" / "config.json"
    config = read_json(path)
    config["ppo"]["epochs"] = 7
    path.write_text(json.dumps(config))
    assert "was made with --ppo.epochs 7, not 3" in call("compare", *WORDS, *TINY).line
    del config["ppo"]["epochs"]
    path.write_text(json.dumps(config))
    assert "was made with no --ppo.epochs, which is 3 now" in call("compare", *WORDS, *TINY).line


def test_a_folder_that_is_not_a_run_is_never_deleted(own: Path, call: Call) -> None:
    """Such as an exported policy, which has a config.json but no checkpoints."""
    folder = own / "expire-span" / "seed-1"
    shutil.rmtree(folder / "checkpoints")
    (folder / "results.json").unlink()
    (folder / "model.safetensors").write_bytes(b"weights")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert "is not a run that can be continued" in call("compare", *WORDS, *TINY).line
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_only_training_is_tracked_and_runs_are_reproduced_without(tmp_path: Path) -> None:
    run = Run("corridor", "lstm", 8, 3, tmp_path, 99, ("--env.max-length", "6"), track=True)
    training, scoring = run.commands([6])
    assert "--track" in training
    assert "--track" not in scoring
    assert run.reproduce == (
        "python experiments/corridor.py --agent lstm --agent.width 8 --seed 3 "
        "--train.total-steps 99 --env.max-length 6 --threads 1"
    )


def test_a_missing_package_is_named_with_a_remedy(call: Call) -> None:
    with patch("importlib.util.find_spec", lambda name: None):
        line = call("compare", "corridor").line
    assert "matplotlib is not installed: pip install 'rl-expire[compare]'" in line
    assert line.endswith("(in a checkout: pip install -e '.[compare]')")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("maze", "TASK 'maze' is unknown: choose one of corridor, portal, instruction"),
        ("corridor --agents rnn", "--agents rnn: 'rnn' is unknown, choose from expire-span"),
        ("corridor --agents lstm:x", "--agents lstm:x: size 'x' is not a whole number"),
        ("corridor --agents memoryless:3", "--agents memoryless:3: memoryless has no memory size"),
        ("corridor --agents lstm:0", "--agents lstm:0: width is 0: choose 1 or more"),
        ("corridor --agents gru:0", "--agents gru:0: width is 0: choose 1 or more"),
        ("corridor --agents", "--agents is empty"),
        ("corridor --seeds", "--seeds is empty"),
        ("corridor --seeds -1", "--seed is -1"),
        ("corridor --levels 200 1", "--levels 1: "),
        ("corridor --total-steps 0", "--total-steps is 0"),
        ("corridor --jobs -1", "--jobs is -1: choose 0 or more"),
        ("corridor --out /proc/none/here", "--out /proc/none/here cannot be written"),
        ("corridor --out /proc", "--out /proc cannot be written"),
        ("corridor -- --env.max-length 2", "--env.max-length=2 is below"),
        ("corridor -- --agent.window 4", "Unrecognized options: --agent.window"),
        ("corridor -- --train.num-envs 9", "--train.num-envs is 9, which is not divisible"),
        ("corridor -- --magic 9", "Unrecognized options: --magic"),
        ("corridor -- --seed=9", "--seed cannot be given after --, to every run: use --seeds"),
        ("corridor -- --train.total_steps 9", "to every run: use --total-steps"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: str, message: str, call: Call, files: Files
) -> None:
    assert message in call("compare", *words.split()).line
    assert not files()
