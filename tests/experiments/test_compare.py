"""compare.py: trains what is missing, skips what is there, and reports."""

from __future__ import annotations

import json
import math
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

from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import call as call_script
from tests.experiments.conftest import on_path

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

Call = Callable[..., Any]


class Inside:
    """The process of a run, played within this one: starting Python and Torch takes seconds."""

    def __init__(self, command: list[str], *, stdout: BinaryIO, **_: Any):
        done = call_script(Path(command[1]).name, *command[2:], cwd=Path.cwd())
        stdout.write((done.out + done.err).encode())
        self.code = done.code

    def poll(self) -> int:
        return self.code


@contextmanager
def runs_by(make: Callable[..., Any]) -> Iterator[list[list[str]]]:
    """Let `make` play the processes of the runs; yields their commands as they are started."""
    started: list[list[str]] = []
    real = subprocess.Popen

    def popen(command: list[str], *words: Any, **options: Any) -> Any:
        if command[0] != sys.executable:
            return real(command, *words, **options)
        started.append(command[1:])
        return make(command, *words, **options)

    with patch.object(subprocess, "Popen", popen):
        yield started


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison, for reading only."""
    folder = tmp_path_factory.mktemp("compared")
    with runs_by(Inside):
        done = call_script("compare.py", *WORDS, *TINY, cwd=folder)
    assert done.code == 0, done.err
    return folder / "cmp"


@pytest.fixture
def own(compared: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(compared, tmp_path / "cmp"))


def test_it_leaves_table_numbers_and_plots(compared: Path) -> None:
    assert {path.name for path in compared.iterdir()} >= FILES
    found = json.loads((compared / "comparison.json").read_text())
    assert [row["variant"] for row in found["rows"]] == ["expire-span", "transformer-xl:3"]
    assert {"commit", "hardware", "commit_of_runs", "hardware_of_runs"} <= found.keys()
    assert found["command"].startswith("python experiments/compare.py corridor --agents")
    window = found["rows"][1]
    assert [e["mean"] for e in window["kept_at_decision_per_layer"]] == [4.0]
    assert window["success"]["n"] == 1
    assert window["success"]["low"] is None
    assert [level["level"] for level in found["runs"][0]["levels"]] == [6, 12]
    lines = (compared / "table.md").read_text().splitlines()
    header, _, *rows = lines[:4]
    command = "python experiments/corridor.py --agent transformer-xl --agent.window 3 --seed 1"
    assert "| IQM |" in header
    assert rows[0].startswith("| expire-span |")
    assert rows[1].startswith("| transformer-xl:3 |")
    assert command in rows[1]
    successes = [row["success"] for row in found["runs"][1]["levels"]]
    by_level = lines[lines.index("| agent | 6 | 12 |") + 3]
    assert by_level == f"| transformer-xl:3 | {successes[0]:.3f} | {successes[1]:.3f} |"


def test_agents_have_comparable_numbers_of_parameters(compared: Path) -> None:
    rows = json.loads((compared / "comparison.json").read_text())["rows"]
    counts = [row["parameters"] for row in rows]
    assert max(counts) < 1.1 * min(counts)


def test_what_is_finished_is_skipped(own: Path, call: Call) -> None:
    before = {p: p.stat().st_mtime_ns for p in own.rglob("*") if p.parent != own and p.is_file()}
    with runs_by(Inside) as commands:
        done = call("compare.py", *WORDS, *TINY)
    assert done.code == 0, done.err
    assert commands == []
    after = {p: p.stat().st_mtime_ns for p in own.rglob("*") if p.parent != own and p.is_file()}
    assert after == before


def test_runs_of_an_earlier_comparison_are_reported_and_not_made_again(
    compared: Path, call: Call, tmp_path: Path
) -> None:
    words = list(WORDS)
    words[words.index("expire-span")] = "memoryless"
    words[words.index("transformer-xl:3")] = "expire-span"
    words[words.index("cmp")] = "ended-here"
    with runs_by(Inside) as commands:
        done = call("compare.py", *words, "--earlier", str(compared / "comparison.json"), *TINY)
    assert done.code == 0, done.err
    assert ["memoryless" in command for command in commands] == [True, False]
    assert commands[1][0].endswith("levels.py")
    before = json.loads((compared / "comparison.json").read_text())["runs"]
    after = json.loads((tmp_path / "ended-here" / "comparison.json").read_text())["runs"]
    assert [run["variant"] for run in after] == ["memoryless", "expire-span", "transformer-xl:3"]
    assert after[1:] == before


def test_an_earlier_comparison_must_have_been_made_by_the_same_commands(
    compared: Path, call: Call
) -> None:
    found = compared / "comparison.json"
    done = call("compare.py", *WORDS, "--earlier", str(found), *TINY, "--ppo.gamma", "0.9")
    assert done.code == 2
    assert "--earlier has expire-span, seed 1, made by 'python" in done.err
    done = call("compare.py", *WORDS, "--earlier", str(compared / "table.md"), *TINY)
    assert done.code == 2
    assert "table.md is no comparison: give the comparison.json of one" in done.err


def test_what_was_interrupted_goes_on_and_what_never_began_begins(own: Path, call: Call) -> None:
    before = time.time_ns()
    trained = own / "expire-span" / "seed-1"
    (trained / "results.json").unlink()
    begun = own / "transformer-xl-3" / "seed-1"
    (begun / "results.json").unlink()
    shutil.rmtree(begun / "checkpoints")
    with runs_by(Inside) as commands:
        done = call("compare.py", *WORDS, *TINY)
    assert done.code == 0, done.err
    assert sorted("--resume" in words for words in commands) == [False, False, False, True]
    for folder in (trained, begun):
        assert json.loads((folder / "results.json").read_text())["train.steps"] == 256
        # The scores that were there are those of other weights.
        assert (folder / "levels.json").stat().st_mtime_ns > before


def test_a_run_that_fails_is_named_and_the_others_are_reported(own: Path, call: Call) -> None:
    broken = own / "expire-span" / "seed-1"
    (broken / "results.json").unlink()
    for path in RunFolder(broken).checkpoints.paths():
        path.write_bytes(b"nonsense")
    done = call("compare.py", *WORDS, *TINY)
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert line.startswith("failed: expire-span, seed 1: corridor.py: error: ")
    assert "cannot be used" in line
    rows = json.loads((own / "comparison.json").read_text())["rows"]
    assert [row["variant"] for row in rows] == ["transformer-xl:3"]


def test_stopped_it_reports_what_is_finished_and_the_others_are_saved(
    own: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = own / "expire-span" / "seed-1"
    shutil.rmtree(begun)
    sleep = time.sleep

    def told_to_end(seconds: float) -> None:
        del seconds
        sleep(0.1)
        if (begun / "metrics.jsonl").exists():
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(time, "sleep", told_to_end)
    longer = [word.replace("256", "1000000") for word in WORDS]
    config = own / "transformer-xl-3" / "seed-1" / "config.json"
    config.write_text(config.read_text().replace("256", "1000000"))
    with runs_by(subprocess.Popen) as commands:
        done = call("compare.py", *longer, *TINY)
    assert done.code == 130
    assert "Give the same command to go on" in done.out
    assert len(commands) == 1
    assert RunFolder(begun).checkpoints.exist
    assert not (begun / "results.json").exists()
    assert "Stopped after" in begun.with_name("seed-1.log").read_text()
    rows = json.loads((own / "comparison.json").read_text())["rows"]
    assert [row["variant"] for row in rows] == ["transformer-xl:3"]


def test_runs_made_with_other_options_are_not_mixed(own: Path, call: Call) -> None:
    for words, says in (
        ((*WORDS, *TINY, "--env.num-cues", "2"), "was made with --env.num-cues 1, not 2"),
        ((*WORDS, *TINY, "--ppo.clip", "0.1"), "was made with --ppo.clip 0.2, not 0.1"),
        ((*WORDS, "--total-steps", "99", *TINY), "was made with --train.total-steps 256, not 99"),
    ):
        assert says in call("compare.py", *words).line
    assert (own / "expire-span" / "seed-1" / "results.json").exists()


def test_tracked_runs_are_told_so_and_reproduced_without(tmp_path: Path) -> None:
    with on_path():
        from experiments.comparison.runs import Run
    run = Run("corridor", "lstm", 8, 3, tmp_path, 99, ("--env.max-length", "6"), ("--track",))
    training, scoring = run.commands([6])
    assert "--track" in training
    assert "--track" not in scoring
    assert run.reproduce == (
        "python experiments/corridor.py --agent lstm --agent.width 8 --seed 3 "
        "--train.total-steps 99 --env.max-length 6 --threads 1"
    )


def test_a_missing_package_is_named_with_its_remedy(call: Call) -> None:
    with patch("importlib.util.find_spec", lambda name: None):
        assert "pip install -e '.[compare]'" in call("compare.py", "corridor").line


def test_lines_that_a_killed_run_wrote_twice_count_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written = [(10, "a"), (20, "a"), (30, "a"), (20, "b"), (30, "b"), (40, "b")]
    path.write_text("".join(json.dumps({"steps": s, "by": by}) + "\n" for s, by in written))
    with on_path():
        from experiments.comparison.runs import read_metrics
    found = [(line["steps"], line["by"]) for line in read_metrics(path)]
    assert found == [(10, "a"), (20, "b"), (30, "b"), (40, "b")]


def test_minutes_count_until_the_full_task_gives_nearly_what_the_oracle_gets() -> None:
    with on_path():
        from experiments.comparison.report import minutes_to_solve
    lines = [
        {"level": 6, "return": 1.0, "seconds": 60.0},
        {"level": 12, "return": None, "seconds": 120.0},
        {"level": 12, "return": 1.89, "seconds": 180.0},
        {"level": 12, "return": 1.9, "seconds": 240.0},
        {"level": 12, "return": 2.0, "seconds": 300.0},
    ]
    assert minutes_to_solve(lines, 12, 2.0) == 4.0
    assert math.isnan(minutes_to_solve(lines, 12, 3.0))
    assert math.isnan(minutes_to_solve(lines, 12, math.nan))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("maze",), "TASK 'maze'"),
        (("corridor", "--agents", "gru"), "--agents gru"),
        (("corridor", "--agents", "lstm:x"), "--agents lstm:x"),
        (("corridor", "--agents", "memoryless:3"), "--agents memoryless:3"),
        (("corridor", "--agents", "lstm:0"), "--agents lstm:0: --agent.width is 0"),
        (("corridor", "--agents"), "--agents is empty"),
        (("corridor", "--seeds"), "--seeds is empty"),
        (("corridor", "--seeds", "-1"), "--seed is -1"),
        (("corridor", "--levels", "200", "1"), "--levels 1: "),
        (("corridor", "--total-steps", "0"), "--total-steps is 0"),
        (("corridor", "--jobs", "-1"), "--jobs"),
        (("corridor", "--out", "/proc/none/here"), "--out /proc/none/here cannot be written"),
        (("corridor", "--out", "/proc"), "--out /proc cannot be written"),
        (("corridor", "--", "--env.max-length", "2"), "--env.max-length=2 is below"),
        (("corridor", "--", "--agent.window", "4"), "--agent.window"),
        (("corridor", "--", "--train.num-envs", "9"), "--train.num-envs 9 is not divisible"),
        (("corridor", "--", "--magic", "9"), "--magic"),
        (("corridor", "--", "--seed=9"), "-- --seed cannot be given to every run: use --seeds"),
        (("corridor", "--", "--train.total_steps", "9"), "use --total-steps"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: tuple[str, ...], says: str, call: Call, files: Callable[[], dict[str, int]]
) -> None:
    done = call("compare.py", *words)
    assert says in done.line
    assert not files()


def test_levels_of_a_run_that_is_none(call: Call) -> None:
    assert "not a run folder" in call("levels.py", "nothing").line
