"""What a run leaves on disk: whole or not at all, and safe to open."""

from __future__ import annotations

import errno
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rl_expire.run_folder import RunFolder, RunFolderError, finite, write_json
from tests.support import CPU

NAN, INF = float("nan"), float("inf")
STATE = {"weights": torch.arange(3.0), "steps": 7, "seconds": 1.5}


def full(*_: Any, **__: Any) -> Any:
    """Stands in for any function that writes, on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullFile:
    """A file that takes half of what it is given, and then the disk is full."""

    def __init__(self, file: Any):
        self.file = file

    def __enter__(self) -> FullFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()

    def tell(self) -> int:
        return self.file.tell()

    def write(self, text: str) -> None:
        self.file.write(text[: len(text) // 2])
        self.file.flush()
        full()


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def files(path: Path) -> set[str]:
    return {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "deep" / "run", {"seed": 1})


def test_a_new_run_holds_its_configuration_and_can_be_opened(run: RunFolder) -> None:
    assert files(run.path) == {"config.json"}
    again, config = RunFolder.open(run.path)
    assert (again.path, config) == (run.path, {"seed": 1})


def test_no_existing_folder_is_written_into(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    for path in (run.path, tmp_path):
        with pytest.raises(RunFolderError, match="exists already") as caught:
            RunFolder.create(path, {"seed": 2})
        assert f"--out {path}" in one_line(caught)
    assert (tmp_path / "config.json").read_text() == "mine"
    assert json.loads(run.config.read_text()) == {"seed": 1}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"--out .* cannot be written .*another folder") as e:
        RunFolder.create(tmp_path / "file" / "run", {})
    one_line(e)


@pytest.mark.parametrize("broken", ["os.replace", "tempfile.mkstemp", "os.fdopen"])
def test_a_run_that_finds_no_space_for_its_configuration_is_not_left_behind(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, full)
    with pytest.raises(RunFolderError, match="No space left") as caught:
        RunFolder.create(tmp_path / "run", {"seed": 1})
    one_line(caught)
    assert not list(tmp_path.iterdir())


def test_what_is_not_a_run_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{not json")
    for path in (tmp_path, tmp_path / "none", tmp_path / "bad"):
        with pytest.raises(RunFolderError, match="is not a run folder") as caught:
            RunFolder.open(path)
        assert str(path) in one_line(caught)


def test_a_checkpoint_comes_back_as_it_was(run: RunFolder) -> None:
    run.save_checkpoint(STATE)
    loaded = run.load_checkpoint(CPU)
    assert torch.equal(loaded.pop("weights"), STATE["weights"])
    assert loaded == {"steps": 7, "seconds": 1.5}
    run.save_checkpoint({"steps": 8})
    assert run.load_checkpoint(CPU) == {"steps": 8}
    assert files(run.path) == {"config.json", "checkpoints/last.pt"}


@pytest.mark.parametrize("broken", ["torch.save", "os.replace"])
def test_without_space_the_checkpoint_before_is_kept(
    broken: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.save_checkpoint({"steps": 7})
    before = run.checkpoint.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(broken, full)
        with pytest.raises(RunFolderError, match="No space left") as caught:
            run.save_checkpoint({"steps": 8})
    assert f"--resume {run.path}" in one_line(caught)
    assert run.checkpoint.read_bytes() == before
    assert files(run.path) == {"config.json", "checkpoints/last.pt"}


def test_a_half_written_checkpoint_is_never_taken_for_one(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(state: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(RunFolderError):
        run.save_checkpoint(STATE)
    assert files(run.path) == {"config.json"}


def test_a_missing_checkpoint_and_a_damaged_one_are_told_apart(run: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="no checkpoint yet"):
        run.load_checkpoint(CPU)
    run.save_checkpoint(STATE)
    content = run.checkpoint.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"hello"):
        run.checkpoint.write_bytes(damaged)
        with pytest.raises(RunFolderError, match="cannot be read") as caught:
            run.load_checkpoint(CPU)
        one_line(caught)


class Hostile:
    """Runs code where it is unpickled without care."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x, 2))])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(
    write: Callable[..., Any], run: RunFolder, tmp_path: Path
) -> None:
    mark = tmp_path / "was here"
    write({"agent": Hostile(mark)}, run.checkpoint)
    with pytest.raises(RunFolderError, match="cannot be read"):
        run.load_checkpoint(CPU)
    assert not mark.exists()
    if write is torch.save:
        torch.load(run.checkpoint, weights_only=False)
        assert mark.exists(), "the checkpoint is not hostile: nothing was tested"


def test_metrics_are_lines_of_json_with_null_for_nan(run: RunFolder) -> None:
    run.append_metrics({"steps": 1, "success": NAN})
    run.append_metrics({"steps": 2, "success": 0.5, "kept": [1.0, INF]})
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert lines == [
        {"steps": 1, "success": None},
        {"steps": 2, "success": 0.5, "kept": [1.0, None]},
    ]


def test_without_space_the_metrics_keep_their_whole_lines(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.append_metrics({"steps": 1})
    before = run.metrics.read_text()
    opened = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: FullFile(opened(path, mode)))
        with pytest.raises(RunFolderError, match="No space left") as caught:
            run.append_metrics({"steps": 2})
    assert f"--resume {run.path}" in one_line(caught)
    assert run.metrics.read_text() == before


def test_metrics_of_a_folder_that_is_gone_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl cannot be written"):
        RunFolder(tmp_path / "gone").append_metrics({"steps": 1})


def test_json_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"success": NAN, "kept": (1, 2)})
    assert json.loads(path.read_text()) == {"success": None, "kept": [1, 2]}
    before = path.read_text()
    opened = os.fdopen
    for name, broken in (
        ("replace", full),
        ("fdopen", lambda handle, mode: FullFile(opened(handle, mode))),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, broken)
            with pytest.raises(RunFolderError, match="No space left") as caught:
                write_json(path, {"success": 1.0})
        one_line(caught)
        assert path.read_text() == before
        assert files(tmp_path) == {"results.json"}
    with pytest.raises(TypeError):
        write_json(path, {"success": object()})
    assert path.read_text() == before


def test_infinities_become_null_at_any_depth_and_the_rest_stays() -> None:
    given = {"a": [1.0, {"b": -INF}], "c": (NAN, "nan"), "d": None, "e": True}
    assert finite(given) == {"a": [1.0, {"b": None}], "c": [None, "nan"], "d": None, "e": True}
