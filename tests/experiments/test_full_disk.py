"""A disk that is full while training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import TINY, Call
from tests.experiments.test_resume import metrics, state
from tests.support import full, same_tree


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints", "config.json"])
def test_a_disk_that_stays_full_ends_in_one_line_and_keeps_the_last_checkpoint(
    name: str, own_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    def open_unless_full(path: Path, mode: str = "r", **options: Any) -> Any:
        concerned = name in path.name or name == path.parent.name
        return (full if concerned and "r" not in mode else real_open)(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_unless_full)
    resume = ("--resume", "run", "--no-video", "--train.total-steps", "2048")
    done = call("train", "corridor", *resume)
    assert "free some disk space" in done.line
    if name != "config.json":
        assert "its last checkpoint is that of update 4" in done.line
        assert "warning: no checkpoint could be written (No space left on device)" in done.out
    assert state(own_run)["updates"] == 4


def test_a_disk_that_has_space_again_loses_nothing(
    tiny_run: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open, failed = Path.open, []

    def open_unless_full(path: Path, mode: str = "r", **options: Any) -> Any:
        if "w" in mode and ("00000002" in path.name or "00000003" in path.name):
            failed.append(path.name)
            full()
        return real_open(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_unless_full)
    every_update = ("--train.checkpoint-every", "1", "--out", "again")
    done = call("train", "corridor", *TINY, *every_update)
    assert done.code == 0, done.err
    assert len(failed) == 2
    assert done.out.count("warning: no checkpoint could be written (No space left") == 2
    assert "the last one is that of update 1; training continues, and will try again" in done.out
    assert RunFolder(tmp_path / "again").checkpoints.paths()[0].name == "00000004.safetensors"
    assert metrics(tmp_path / "again") == metrics(tiny_run)
    same_tree(state(tmp_path / "again"), state(tiny_run))
