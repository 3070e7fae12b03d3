"""The folder of checkpoints: good ones stay until newer ones are safe, bad ones are skipped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rl_expire.runs.atomic import UnwritableError
from rl_expire.runs.checkpoint import CheckpointError
from rl_expire.runs.checkpoint_folder import CheckpointFolder
from tests.support import full, same_tree


@pytest.fixture
def checkpoints(tmp_path: Path) -> CheckpointFolder:
    (tmp_path / "run").mkdir()
    return CheckpointFolder(tmp_path / "run" / "checkpoints")


def names(checkpoints: CheckpointFolder) -> list[str]:
    return sorted(os.listdir(checkpoints.folder))


def loaded(checkpoints: CheckpointFolder) -> Any:
    return checkpoints.load(lambda state: state)


def test_the_most_recent_and_the_best_are_kept(checkpoints: CheckpointFolder) -> None:
    for n in range(1, 6):
        checkpoints.save({"n": n}, n, keep=2, best=n == 2)
    assert names(checkpoints) == [
        "00000004.safetensors",
        "00000005.safetensors",
        "best.safetensors",
    ]
    assert loaded(checkpoints) == {"n": 5}
    assert checkpoints.load(lambda state: state, best=True) == {"n": 2}


@pytest.mark.parametrize("links", [True, False])
def test_the_best_is_not_affected_by_later_checkpoints(
    links: bool, checkpoints: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file system has no hard links."""
    if not links:
        monkeypatch.setattr(os, "link", full)
    checkpoints.save({"n": 1}, 1, keep=1, best=True)
    checkpoints.save({"n": 2}, 1, keep=1)
    assert loaded(checkpoints) == {"n": 2}
    assert checkpoints.load(lambda state: state, best=True) == {"n": 1}


def test_resuming_from_an_earlier_checkpoint_replaces_the_later_ones(
    checkpoints: CheckpointFolder,
) -> None:
    for n in (10, 20):
        checkpoints.save({"n": n}, n, keep=2)
    checkpoints.save({"n": 15}, 15, keep=2)
    assert names(checkpoints) == ["00000010.safetensors", "00000015.safetensors"]


def test_a_damaged_checkpoint_is_skipped_with_one_line(
    checkpoints: CheckpointFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in (1, 2):
        checkpoints.save({"n": n}, n, keep=2)
    newest = checkpoints.paths()[0]
    newest.write_bytes(newest.read_bytes()[:-3])
    assert loaded(checkpoints) == {"n": 1}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{newest} cannot be used: ")
    assert line.endswith("; using 00000001.safetensors")
    assert [bool(problem) for _, problem in checkpoints.check()] == [True, False]


def test_the_error_says_whether_checkpoints_are_missing_damaged_or_of_an_early_version(
    checkpoints: CheckpointFolder,
) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        loaded(checkpoints)
    checkpoints.save({"n": 1}, 1, keep=2)
    checkpoints.paths()[0].write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be used"):
        loaded(checkpoints)
    checkpoints.paths()[0].rename(checkpoints.folder / "last.pt")
    with pytest.raises(CheckpointError, match=r"an earlier version: its last\.pt"):
        loaded(checkpoints)


@pytest.mark.parametrize("broken", ["os.replace", "os.fsync", "read back"])
def test_on_a_full_or_faulty_disk_the_existing_checkpoint_stays(
    broken: str, checkpoints: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save({"n": 1}, 1, keep=1)
    before = checkpoints.paths()[0].read_bytes()
    with monkeypatch.context() as patch:
        if broken == "read back":
            read = Path.read_bytes
            patch.setattr(Path, "read_bytes", lambda path: read(path)[:-1] + b"!")
        else:
            patch.setattr(broken, full)
        with pytest.raises((UnwritableError, CheckpointError)):
            checkpoints.save({"n": 2, "w": torch.ones(2)}, 2, keep=1)
    assert names(checkpoints) == ["00000001.safetensors"]
    assert checkpoints.paths()[0].read_bytes() == before
    checkpoints.save({"n": 2}, 2, keep=1)
    assert loaded(checkpoints) == {"n": 2}


@pytest.mark.parametrize(
    "name", [".00000002.safetensors.part", ".00000002.safetensors.part-a1b2c3d4"]
)
def test_files_that_a_killed_process_left_half_written_are_removed(
    name: str, checkpoints: CheckpointFolder
) -> None:
    checkpoints.save({"n": 1}, 1, keep=2)
    (checkpoints.folder / name).write_bytes(b"half")
    assert loaded(checkpoints) == {"n": 1}
    checkpoints.save({"n": 3}, 3, keep=2)
    assert names(checkpoints) == ["00000001.safetensors", "00000003.safetensors"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_on_a_disk_that_is_really_full_the_last_good_one_stays(small_disk: Path) -> None:
    checkpoints = CheckpointFolder(small_disk)
    checkpoints.save({"n": 1}, 1, keep=1)
    (small_disk / "other").write_bytes(bytes(200_000))
    large = {"n": 2, "w": torch.randn(20_000)}
    with pytest.raises(UnwritableError, match="No space left"):
        checkpoints.save(large, 2, keep=1)
    assert names(checkpoints) == ["00000001.safetensors", "other"]
    assert loaded(checkpoints) == {"n": 1}
    (small_disk / "other").unlink()
    checkpoints.save(large, 2, keep=1)
    same_tree(loaded(checkpoints), large)
