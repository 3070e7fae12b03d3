"""`rl-expire bench` prints a table per benchmark, and bad input is one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.blocks.value_head import ValueHead
from experiments.benchmark import train
from experiments.benchmark.agents import frozen_trainer
from experiments.benchmark.memory import measure
from rl_expire.learning.trainer import Trainer
from tests.experiments.conftest import SCRIPTS, Call, change_config
from tests.support import copy_of

FEW = ("--num-envs", "2", "--repeats", "1")


def numbers(text: str) -> list[float]:
    """Return all numbers in a text, such as a row of a table."""
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", text)]


def test_env_compares_with_minigrid(tmp_path: Path) -> None:
    # In a process of its own, because it pins its process to one core.
    words = ("env", "--num-envs", "4", "--steps", "40")
    command = [sys.executable, str(SCRIPTS / "bench.py"), *words]
    wide = os.environ | {"COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=wide
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    names = [row[0].strip() for row in rows]
    for task in ("Corridor", "Portal", "Instruction", "Collision", "TMaze"):
        assert names.count(f"{task}, batch") == names.count(f"{task}, single") == 1
    (baseline,) = [row for row in rows if row[0].strip() == "MiniGrid-MemoryS13-v0, single"]
    assert numbers(baseline[3]) == [1.0]
    assert all(numbers(row[2])[0] > 0 for row in rows)
    assert not list(tmp_path.iterdir())


TINY = ("--lengths", "4", "6", "--widths", "8", "16", "--updates", "1", "--threads", "1")


def test_train_has_a_row_for_each_length_and_width(call: Call, tmp_path: Path) -> None:
    done = call("bench", "train", *TINY, "--device", "cpu")
    assert done.code == 0, done.err
    rows = [numbers(line) for line in done.out.splitlines() if " % " in line]
    assert [row[:2] for row in rows] == [[4, 8], [4, 16], [6, 8], [6, 16]]
    for _, _, speed, times, *shares, slots in rows:
        assert speed > 0
        assert times == 1
        assert slots >= 1
        assert sum(shares) == pytest.approx(100, abs=3)
    assert not list(tmp_path.iterdir())


def test_train_on_a_gpu_compares_with_the_cpu(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        """Says it is a GPU; the trainers below know better."""

        type = "cuda"

    made: list[str] = []
    make = train.corridor_trainer

    def corridor_trainer(length: int, width: int, device: torch.device) -> Trainer[Any]:
        made.append(device.type)
        return make(length, width, torch.device("cpu"))

    monkeypatch.setattr(train, "device_of", lambda name: Cuda())
    monkeypatch.setattr(train, "corridor_trainer", corridor_trainer)
    monkeypatch.setenv("COLUMNS", "140")
    done = call("bench", "train", *TINY, "--device", "cuda")
    assert done.code == 0, done.err
    assert made == ["cuda", "cpu"] * 4
    rows = [line.split("│") for line in done.out.splitlines() if " % " in line]
    assert [row[3].strip() for row in rows] == ["cuda", "cpu"] * 4
    speeds, times = ([numbers(row[n])[0] for row in rows] for n in (4, 5))
    assert times[1::2] == [1, 1, 1, 1]
    expected = [gpu / cpu for gpu, cpu in zip(speeds[::2], speeds[1::2], strict=True)]
    assert times[::2] == pytest.approx(expected, abs=0.02)


def test_train_without_a_gpu_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "--device cuda is not available" in call("bench", "train", "--device", "cuda").line


def test_act_has_a_row_for_each_length(tiny_run: Path, call: Call, tmp_path: Path) -> None:
    done = call("bench", "act", "--run", str(tiny_run), "--lengths", "4", "9", *FEW)
    assert done.code == 0, done.err
    rows = [numbers(line) for line in done.out.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == [4, 9]
    for _, micros, kept, held, success in rows:
        assert micros > 0
        assert kept >= 1
        assert held > 0
        assert 0 <= success <= 1
    assert not list(tmp_path.iterdir())


def test_act_needs_an_option_that_sets_difficulty(own_run: Path, call: Call) -> None:
    change_config(own_run, "env", "level", value=[])
    line = call("bench", "act", "--run", "run", *FEW).line
    assert "config.json does not name an option that sets difficulty" in line


def test_agents_are_timed_side_by_side(
    own_run: Path, lstm_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    done = call("bench", "agents", "--runs", "run", "lstm", "--updates", "1", *FEW)
    assert done.code == 0, done.err
    rows = [line.split("│")[1:-1] for line in done.out.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["expire-span:1024, seed 1", "lstm:8, seed 1"]
    for row, has_memories in zip(rows, (True, False), strict=True):
        acting, learning, forgetting, kept, held, success = [cell.strip() for cell in row[1:]]
        assert min(numbers(f"{acting} {learning} {held}")) > 0
        assert 0 <= float(success) <= 1
        for cell in (forgetting, kept):
            assert (numbers(cell)[0] >= 1) if has_memories else (cell == "-")
    assert "lstm:8, seed 1: lstm" in done.out
    assert own_run.exists()
    assert lstm_run.exists()


@pytest.mark.parametrize("forgetting", [False, True])
def test_timed_updates_learn_nothing_and_stay_in_their_phase_and_level(
    tiny_run: Path, forgetting: bool
) -> None:
    trainer = frozen_trainer(tiny_run, forgetting=forgetting)
    before = copy_of(trainer.agent)
    for _ in range(4):
        metrics = trainer.update()
        assert ("distillation" in metrics) == forgetting
        assert metrics["phase"] == "end"
        assert metrics["level"] == 6
    assert before.keys() == trainer.agent.state_dict().keys()
    # Running scales of rewards and values go on, and the value head is rescaled with them.
    rescaled = [n for n, m in trainer.agent.named_modules() if isinstance(m, ValueHead)]
    assert len(rescaled) == 1
    for name, weight in trainer.agent.named_parameters():
        if name.rpartition(".")[0] not in rescaled:
            torch.testing.assert_close(weight.detach(), before[name], atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("agents --runs", "--runs is empty"),
        ("agents --runs none", "none is not a run folder"),
        ("env --num-envs 0", "--num-envs is 0: choose 1 or more"),
        ("env --steps 0", "--steps is 0: choose 1 or more"),
        ("env --seed -1", "--seed is -1: choose 0 or more"),
        ("train --updates 0", "--updates is 0: choose 1 or more"),
        ("train --threads -1", "--threads is -1: choose 0 or more"),
        ("train --lengths 2", "max_length=2 is below"),
        ("act --run none", "none is not a run folder"),
        ("act --run none --repeats 0", "--repeats is 0: choose 1 or more"),
        ("act --run none --num-envs 0", "--num-envs is 0: choose 1 or more"),
        ("act", "--run"),
        ("fly", "'fly' is unknown: choose one of env, train, act, agents"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: str, message: str, call: Call, tmp_path: Path
) -> None:
    assert message in call("bench", *words.split()).line
    assert not list(tmp_path.iterdir())


def test_memory_takes_more_the_more_is_held(call: Call) -> None:
    few, many = (measure(count, 4, 8, 2, threads=1) for count in (8, 64))
    assert (few.held_bytes, many.held_bytes) == (8 * 3 * 32 + 8 * 12, 64 * 3 * 32 + 64 * 12)
    assert few.act > 0
    assert few.learn > 0
    assert "--segment is 0" in call("bench", "memory", "--segment", "0").line


def test_memory_is_measured_in_a_process_of_its_own(call: Call) -> None:
    done = call("bench", "memory", "--memories", "16", "--segment", "4", "--width", "8")
    assert done.code == 0, done.err
    assert "16 │" in done.out
