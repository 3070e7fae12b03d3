"""compare.py: trains what is missing, skips what is there, and reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORDS = (
    *("corridor", "--agents", "expire-span", "transformer-xl:3", "--seeds", "1", "--out", "cmp"),
    *("--total-steps", "1280", "--levels", "6", "12"),
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


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison, for reading only."""
    from tests.experiments.conftest import call

    folder = tmp_path_factory.mktemp("compared")
    done = call("compare.py", *WORDS, *TINY, cwd=folder)
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
    assert {"commit", "hardware", "runs"} <= found.keys()
    window = found["rows"][1]
    assert window["kept_at_decision"]["mean"] == 4.0
    assert window["success"]["n"] == 1
    assert [level["level"] for level in found["runs"][0]["levels"]] == [6, 12]
    table = (compared / "table.md").read_text()
    assert "| transformer-xl:3 |" in table
    command = "python experiments/corridor.py --agent transformer-xl --agent.window 3 --seed 1"
    assert command in table


def test_agents_have_comparable_numbers_of_parameters(compared: Path) -> None:
    rows = json.loads((compared / "comparison.json").read_text())["rows"]
    counts = [row["parameters"] for row in rows]
    assert max(counts) < 1.1 * min(counts)


def test_what_is_finished_is_skipped(own: Path, call: Call) -> None:
    before = {p: p.stat().st_mtime_ns for p in own.rglob("*") if p.parent != own and p.is_file()}
    done = call("compare.py", *WORDS, *TINY)
    assert done.code == 0, done.err
    after = {p: p.stat().st_mtime_ns for p in own.rglob("*") if p.parent != own and p.is_file()}
    assert after == before


def test_what_was_interrupted_goes_on_and_what_never_began_begins(own: Path, call: Call) -> None:
    trained = own / "expire-span" / "seed-1"
    (trained / "results.json").unlink()
    (trained / "levels.json").unlink()
    begun = own / "transformer-xl-3" / "seed-1"
    for path in ("results.json", "levels.json", "checkpoints/last.pt"):
        (begun / path).unlink()
    done = call("compare.py", *WORDS, *TINY)
    assert done.code == 0, done.err
    for folder in (trained, begun):
        assert json.loads((folder / "results.json").read_text())["train.steps"] == 1280
        assert (folder / "levels.json").exists()


def test_a_run_that_fails_is_named_and_the_others_are_reported(own: Path, call: Call) -> None:
    done = call("compare.py", *WORDS, "--seeds", "1", "7", *TINY, "--env.min-length", "9")
    assert done.code == 1
    lines = done.err.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["failed"] * 2
    assert "seed 7" in lines[0]
    assert "max_length" in lines[0]
    rows = json.loads((own / "comparison.json").read_text())["rows"]
    assert [row["seeds"] for row in rows] == [[1], [1]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("maze",), "TASK 'maze'"),
        (("corridor", "--agents", "gru"), "--agents gru"),
        (("corridor", "--agents", "lstm:x"), "--agents lstm:x"),
        (("corridor", "--agents", "memoryless:3"), "--agents memoryless:3"),
        (("corridor", "--seeds"), "--seeds"),
        (("corridor", "--levels"), "--levels"),
        (("corridor", "--jobs", "-1"), "--jobs"),
        (("corridor", "--out", "/proc/none/here"), "--out"),
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
