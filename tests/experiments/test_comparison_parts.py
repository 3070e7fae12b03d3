"""Parts of a comparison: learning curves, times, estimates over seeds, and measures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.comparison.metrics import last_metrics, read_metrics
from experiments.comparison.record import minutes_to_solve
from experiments.comparison.report import over_seeds
from tests.experiments.conftest import TINY, read_json

NEW_MEASURE = """
import sys
from pathlib import Path

from experiments.scoring import measures

twice = measures.Measure(
    "eval.twice", lambda s: 2.0 * len(s.whole.episodes), "episodes, twice", "twice", digits=1
)
measures.MEASURES += (twice,)

from experiments.cli import main
from experiments.comparison.record import read_record
from experiments.comparison.report import write_report
from experiments.comparison.runs import Run

run = Run("corridor", "expire-span", None, 1, Path("cmp"), 512, tuple(sys.argv[1:]))
main(["train", "corridor", "--out", str(run.folder.path), *run.options])
main(["levels", str(run.folder.path), "--levels", "6", "--episodes", "2"])
write_report(run.out, "corridor", [read_record(run)], {})
"""
"""Declares one more measure, then trains, scores and reports a run."""


def write_lines(path: Path, lines: list[tuple[int, str]]) -> None:
    """Write metrics that are steps and the name of a session."""
    path.write_text("".join(json.dumps({"steps": s, "session": n}) + "\n" for s, n in lines))


def test_lines_that_a_resumed_run_wrote_again_count_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_lines(path, [(10, "a"), (20, "a"), (30, "a"), (20, "b"), (30, "b"), (40, "b")])
    lines = [(line["steps"], line["session"]) for line in read_metrics(path)]
    assert lines == [(10, "a"), (20, "b"), (30, "b"), (40, "b")]


def test_the_last_whole_line_is_read_while_the_next_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert last_metrics(path) == {}
    write_lines(path, [(n, "a") for n in range(1000)])
    assert last_metrics(path)["steps"] == 999
    with path.open("a") as file:
        file.write('{"steps": 10')
    assert last_metrics(path)["steps"] == 999


def test_minutes_count_until_the_full_task_gives_nearly_the_return_of_the_oracle() -> None:
    lines = [
        {"level": 6, "return": 1.0, "seconds": 60.0},
        {"level": 12, "return": None, "seconds": 120.0},
        {"level": 12, "return": 1.89, "seconds": 180.0},
        {"level": 12, "return": 1.9, "seconds": 240.0},
        {"level": 12, "return": 2.0, "seconds": 300.0},
    ]  # of an earlier version, which did not count episodes
    assert minutes_to_solve(lines, 12, 2.0) == 4.0
    assert math.isnan(minutes_to_solve(lines, 12, 3.0))
    assert math.isnan(minutes_to_solve(lines, 12, math.nan))
    assert math.isnan(minutes_to_solve(lines, 12, None))


def test_minutes_count_episodes_of_the_full_task_only() -> None:
    lines = [
        {"level": 12, "return": 2.0, "episodes": count, "seconds": 60.0 * minute}
        for minute, count in enumerate((1, 40, 511, 512), start=1)
    ]
    assert minutes_to_solve(lines, 12, 2.0) == 4.0
    assert math.isnan(minutes_to_solve(lines[:-1], 12, 2.0))


@pytest.mark.parametrize(
    ("values", "means"),
    [
        ([0.5, 1.0], 0.75),
        ([0.5, None], 0.5),
        ([[1.0, 2.0], [3.0, 4.0]], [2.0, 3.0]),
        ([[], []], []),
        ([[1.0, 2.0], [3.0]], [2.0, 2.0]),
    ],
)
def test_results_are_averaged_over_seeds_layer_by_layer(values: list[Any], means: Any) -> None:
    records = [{"results": {"x": value}} for value in values]
    summary = over_seeds(records, "x")
    found = [e["mean"] for e in summary] if isinstance(summary, list) else summary["mean"]
    assert found == means


def test_a_record_without_a_measure_counts_for_the_others() -> None:
    records: list[dict[str, Any]] = [{"results": {}}, {"results": {"x": 1.0}}]
    summary = over_seeds(records, "x")
    assert isinstance(summary, dict)
    assert (summary["mean"], summary["n"]) == (1.0, 1)
    missing = over_seeds(records, "y")
    assert isinstance(missing, dict)
    assert missing["n"] == 0


@pytest.mark.slow
def test_declaring_a_measure_adds_it_to_results_table_and_comparison(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NEW_MEASURE, *TINY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "episodes, twice" in line]
    assert row.split("│")[2].strip() == "14.0"
    (results,) = (tmp_path / "cmp").rglob("results.json")
    assert read_json(results)["eval.twice"] == 14.0
    (summary,) = read_json(tmp_path / "cmp" / "comparison.json")["rows"]
    assert summary["scores"]["eval.twice"]["mean"] == 14.0
    header, _, cells, *_ = (tmp_path / "cmp" / "table.md").read_text().splitlines()
    columns = [name.strip() for name in header.split("|")]
    assert cells.split("|")[columns.index("twice")].strip() == "14.0"
