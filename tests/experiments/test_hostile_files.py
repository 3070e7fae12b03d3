"""Every command that opens a folder says in one line what is wrong with the files in it."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_expire.runs.policy import export_policy
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import Call, Files, change_config

OPEN = (
    ("watch", "run"),
    ("watch", "good", "--compare", "run"),
    ("levels", "run", "--levels", "4"),
    ("bench", "act", "--run", "run"),
    ("bench", "agents", "--runs", "run"),
)
"""Commands that open a run folder or an exported policy."""
RESUME = ("train", "corridor", "--resume", "run", "--no-video")
EXPORT, CHECK = ("export", "run", "out"), ("check", "run")

Damage = Callable[[Path], None]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"trainer": {}}))


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def large(path: Path) -> None:
    path.write_text(json.dumps({"env": "x" * 2_000_000}))


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe{}")


def promise(path: Path) -> None:
    """A header that promises more than is there."""
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def lying(path: Path) -> None:
    """A header whose tensor has more bytes than the file."""
    entry = {"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    header = json.dumps(entry).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def shortened(value: object) -> str:
    """Return a short id for a parameter."""
    return repr(value)[:40]


ANY = (pipe, endless, folder, not_text, pickled)


def refused(call: Call, *words: str) -> str:
    """Return the error of a command, which must be one line with exit code 2."""
    line = call(*words).line
    assert line.startswith("rl-expire: error: ")
    assert len(line) <= len("rl-expire: error: ") + 1000
    assert line.isprintable()
    return line


@pytest.mark.parametrize("damage", [*ANY, nested, large], ids=lambda f: f.__name__)
def test_a_hostile_config_is_one_line(
    damage: Damage, own_run: Path, call: Call, files: Files
) -> None:
    own_run.rename(own_run.with_name("good"))
    RunFolder.create(own_run, {}).config.unlink()
    damage(own_run / "config.json")
    before = files()
    for words in (*OPEN, RESUME, EXPORT, CHECK):
        assert "run is not a run folder" in refused(call, *words)
    assert files() == before


@pytest.mark.parametrize("damage", [*ANY, promise, lying], ids=lambda f: f.__name__)
def test_a_hostile_checkpoint_is_one_line(
    damage: Damage, own_run: Path, call: Call, files: Files, tmp_path: Path
) -> None:
    export_policy(own_run, tmp_path / "good")
    for path in (*RunFolder(own_run).checkpoints.paths(), own_run / "checkpoints/best.safetensors"):
        path.unlink(missing_ok=True)
        damage(path)
    before = files()
    for words in (*OPEN, RESUME, EXPORT):
        assert "cannot be used" in refused(call, *words)
    done = call(*CHECK)
    assert (done.code, done.err) == (1, "")
    assert "good" not in done.out
    assert files() == before


@pytest.mark.parametrize("damage", [*ANY, promise, lying], ids=lambda f: f.__name__)
def test_a_hostile_policy_is_one_line(
    damage: Damage, own_run: Path, call: Call, files: Files, tmp_path: Path
) -> None:
    own_run.rename(tmp_path / "good")
    export_policy(tmp_path / "good", own_run)
    (own_run / "model.safetensors").unlink()
    damage(own_run / "model.safetensors")
    before = files()
    for words in OPEN:
        assert "model.safetensors cannot be used" in refused(call, *words)
    assert files() == before


@pytest.mark.parametrize("damage", [pipe, endless, folder], ids=lambda f: f.__name__)
def test_hostile_metrics_are_one_line(damage: Damage, own_run: Path, call: Call) -> None:
    (own_run / "metrics.jsonl").unlink()
    damage(own_run / "metrics.jsonl")
    assert "metrics.jsonl is not a regular file" in refused(call, *RESUME)


@pytest.mark.parametrize("damage", [*ANY, nested], ids=lambda f: f.__name__)
def test_a_hostile_comparison_is_one_line(damage: Damage, call: Call, tmp_path: Path) -> None:
    damage(tmp_path / "earlier.json")
    words = ("compare", "corridor", "--out", "cmp", "--earlier", "earlier.json")
    assert "earlier.json is not a comparison" in refused(call, *words)
    assert not (tmp_path / "cmp").exists()


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        *((("env",), value) for value in (None, [], "x")),
        *((("env", "id"), value) for value in (None, 3, "", ":", "a b", "x" * 10_000, "\x1b[2Jx")),
        *((("env", "options"), value) for value in (None, [], {"max_length": "long"})),
        *((("env", "level"), value) for value in (3, "max_length", [3], ["gravity"])),
        *((("env", "making"), value) for value in (3, [], {"wrappers": "a:B"}, {"magic": 1})),
        (("env", "making"), {"timeout": "long"}),
        (("env", "making"), {"vectorization": "fast"}),
        *((("agent",), value) for value in (None, [], {"name": ["lstm"]})),
        *((("agent", "options", "width"), value) for value in (10**9, 2**70, "wide", 1.5, True)),
        *((("agent", "options", "max_span"), value) for value in (1e300, float("nan"), None)),
    ],
    ids=shortened,
)
def test_a_hostile_value_in_a_config_is_one_line(
    keys: tuple[str, ...], value: Any, own_run: Path, call: Call, files: Files, tmp_path: Path
) -> None:
    export_policy(own_run, tmp_path / "good")
    change_config(own_run, *keys, value=value)
    before = files()
    for words in (*OPEN, RESUME):
        refused(call, *words)
    assert files() == before


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        *((("seed",), value) for value in (None, -1, "1", 2**40)),
        *((("train", "num_envs"), value) for value in (0, 1.5, "8", None, [8])),
        (("train",), []),
        (("ppo", "clip"), float("inf")),
        (("forgetting", "method"), ["never"]),
        (("curriculum", "growth"), -1),
    ],
    ids=shortened,
)
def test_a_hostile_option_of_training_is_one_line(
    keys: tuple[str, ...], value: Any, own_run: Path, call: Call, files: Files
) -> None:
    change_config(own_run, *keys, value=value)
    before = files()
    refused(call, *RESUME)
    assert files() == before
