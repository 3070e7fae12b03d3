"""bench.py: each table is printed, and bad input is one line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from tests.experiments.conftest import on_path
from tests.support import copy_of

SCRIPT = Path(__file__).parents[2] / "experiments" / "bench.py"


def numbers(row: str) -> list[float]:
    """The numbers of a table's row."""
    return [float(x.replace(",", "")) for x in re.findall(r"\d[\d,]*\.?\d*", row)]


def test_env_compares_with_minigrid(tmp_path: Path) -> None:
    # In a process of its own, for it keeps itself on one core.
    command = [sys.executable, str(SCRIPT), "env", "--num-envs", "4", "--steps", "40"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "Corridor" in line]
    assert len(rows) == 2
    assert all(min(numbers(row)) > 0 for row in rows)
    assert "MiniGrid" in done.stdout
    assert not list(tmp_path.iterdir())


def test_train_has_a_row_for_each_length(call: Callable[..., Any], tmp_path: Path) -> None:
    done = call("bench.py", "train", "--lengths", "4", "6", "--updates", "1", "--threads", "1")
    assert done.code == 0, done.err
    rows = [numbers(line) for line in done.out.splitlines() if " % " in line]
    assert [row[0] for row in rows] == [4, 6]
    for _, speed, *shares, slots in rows:
        assert speed > 0
        assert slots >= 1
        assert sum(shares) == pytest.approx(100, abs=3)
    assert not list(tmp_path.iterdir())


def test_act_has_a_row_for_each_length(
    tiny_run: Path, call: Callable[..., Any], tmp_path: Path
) -> None:
    words = ("--lengths", "4", "9", "--num-envs", "2", "--repeats", "1", "--threads", "1")
    done = call("bench.py", "act", "--run", str(tiny_run), *words)
    assert done.code == 0, done.err
    rows = [numbers(line) for line in done.out.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == [4, 9]
    for _, micros, kept, held, success in rows:
        assert micros > 0
        assert kept >= 1
        assert held > 0
        assert 0 <= success <= 1
    assert not list(tmp_path.iterdir())


def test_agents_stand_side_by_side(
    tiny_run: Path,
    tiny: list[str],
    call: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    options = [word for word in tiny if word not in ("--agent.max-span", "40")]
    assert call("corridor.py", "--agent", "lstm", *options, "--out", "lstm").code == 0
    words = ("--num-envs", "2", "--updates", "2", "--repeats", "2")
    done = call("bench.py", "agents", "--runs", str(tiny_run), "lstm", *words)
    assert done.code == 0, done.err
    rows = [line.split("│")[1:-1] for line in done.out.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["expire-span:1024, seed 1", "lstm:16, seed 1"]
    for row, held_one_by_one in zip(rows, (True, False), strict=True):
        acting, learning, forgetting, kept, held, success = [cell.strip() for cell in row[1:]]
        assert min(numbers(f"{acting} {learning} {held}")) > 0
        assert 0 <= float(success) <= 1
        for cell in (forgetting, kept):
            assert (numbers(cell)[0] >= 1) if held_one_by_one else (cell == "-")
    assert f"lstm:16, seed 1: {Path('lstm')}" in done.out
    assert {path.name for path in tmp_path.iterdir()} == {"lstm"}


@pytest.mark.parametrize("phase", ["learn", "forget"])
def test_agents_are_timed_as_they_are(tiny_run: Path, phase: Literal["learn", "forget"]) -> None:
    with on_path():
        from experiments.benchmark.agents import trainer_of
    trainer = trainer_of(tiny_run, phase)
    before = copy_of(trainer.agent)
    for _ in range(4):
        stats = trainer.update()
        assert ("distillation" in stats) == (phase == "forget")
        assert stats["level"] == 6
    assert before.keys() == trainer.agent.state_dict().keys()
    for name, value in trainer.agent.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["agents", "--runs"], "--runs is empty"),
        (["agents", "--runs", "none"], "none is not a run folder"),
        (["env", "--num-envs", "0"], "--num-envs is 0: choose 1 or more"),
        (["env", "--steps", "0"], "--steps is 0: choose 1 or more"),
        (["env", "--seed", "-1"], "--seed is -1: choose 0 or more"),
        (["train", "--updates", "0"], "--updates is 0: choose 1 or more"),
        (["train", "--threads", "-1"], "--threads is -1: choose 0 or more"),
        (["train", "--lengths", "2"], "max-length=2 is below"),
        (["act", "--run", "none"], "none is not a run folder"),
        (["act", "--run", "none", "--repeats", "0"], "--repeats is 0: choose 1 or more"),
        (["act", "--run", "none", "--num-envs", "0"], "--num-envs is 0: choose 1 or more"),
        (["act"], "--run"),
        (["fly"], "fly"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: list[str], says: str, call: Callable[..., Any], tmp_path: Path
) -> None:
    assert says in call("bench.py", *words).line
    assert not list(tmp_path.iterdir())
