"""Run folders: made whole or not at all, opened safely, trained into by one process only."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from rl_expire.runs.atomic import UnwritableError
from rl_expire.runs.run_folder import RunFolder, RunFolderError, latest_run
from tests.support import full


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    (line,) = str(error.value).splitlines()
    return line


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "deep" / "run", {"seed": 1})


def test_a_new_run_holds_its_configuration_and_can_be_opened(run: RunFolder) -> None:
    assert sorted(os.listdir(run.path)) == ["checkpoints", "config.json"]
    again, config = RunFolder.open(run.path)
    assert (again.path, config) == (run.path, {"seed": 1})


def test_an_existing_folder_is_never_written_into(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    for path in (run.path, tmp_path):
        with pytest.raises(RunFolderError, match="exists already") as caught:
            RunFolder.create(path, {"seed": 2})
        assert one_line(caught).startswith(f"{path} exists already: choose another folder")
    assert (tmp_path / "config.json").read_text() == "mine"
    assert json.loads(run.config.read_text()) == {"seed": 1}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "run"
    with pytest.raises(UnwritableError) as caught:
        RunFolder.create(path, {})
    assert one_line(caught).startswith(f"{path} cannot be written (")
    assert one_line(caught).endswith("): choose another folder")


def test_a_run_without_space_for_its_configuration_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UnwritableError) as caught:
        RunFolder.create(path, {"seed": 1})
    assert one_line(caught).startswith(f"{path} cannot be written (No space left on device)")
    assert not os.listdir(tmp_path)


def test_what_is_not_a_run_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{not json")
    for path in (tmp_path, tmp_path / "none", tmp_path / "bad"):
        with pytest.raises(RunFolderError, match="is not a run folder") as caught:
            RunFolder.open(path)
        assert str(path) in one_line(caught)


def test_only_one_process_trains_into_a_run(run: RunFolder) -> None:
    with run.lock():
        with pytest.raises(RunFolderError, match="another process is training") as caught:
            RunFolder(run.path).lock().__enter__()
        assert str(run.path) in one_line(caught)
    with RunFolder(run.path).lock():
        pass


def hold_lock(path: Path, locked: Event) -> None:
    with RunFolder(path).lock():
        locked.set()
        time.sleep(60)


def test_the_lock_of_a_killed_process_is_released(run: RunFolder) -> None:
    fork = multiprocessing.get_context("fork")  # without the time that importing Torch takes
    locked = fork.Event()
    process = fork.Process(target=hold_lock, args=(run.path, locked))
    process.start()
    assert locked.wait(timeout=60)
    with pytest.raises(RunFolderError, match="another process"):
        run.lock().__enter__()
    process.kill()
    process.join()
    with run.lock():
        pass


def test_the_latest_run_is_the_matching_one_saved_last(tmp_path: Path) -> None:
    def matches(entry: dict[str, Any]) -> bool:
        return entry["id"] == "Task-v0"

    with pytest.raises(RunFolderError) as caught:
        latest_run(tmp_path, "Task-v0", matches)
    assert one_line(caught).startswith(f"no run of Task-v0 with a checkpoint in {tmp_path}/")
    for n, (name, env_id) in enumerate([("b", "Task-v0"), ("a", "Task-v0"), ("c", "Other-v0")]):
        run = RunFolder.create(tmp_path / name, {"env": {"id": env_id}})
        run.checkpoints.save({"n": n}, n, keep=1)
        os.utime(run.checkpoints.paths()[0], (1000 + n, 1000 + n))
    RunFolder.create(tmp_path / "unsaved", {"env": {"id": "Task-v0"}})
    for name, config in (("list", "[]"), ("nameless", '{"env": {}}'), ("damaged", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
    assert latest_run(tmp_path, "Task-v0", matches) == tmp_path / "a"


def test_only_a_run_without_a_checkpoint_is_discarded(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {})
    (run.checkpoints.folder / ".00000001.safetensors.part").write_bytes(b"half")
    with run.lock(), pytest.raises(RunFolderError, match="another process is training"):
        run.discard_unstarted()
    assert run.config.exists()
    run.discard_unstarted()
    assert not run.path.exists()
    run.discard_unstarted()  # nothing there: nothing to do


@pytest.mark.parametrize("name", ["notes.txt", "model.safetensors", "checkpoints/1.safetensors"])
def test_a_folder_with_anything_else_is_not_discarded(tmp_path: Path, name: str) -> None:
    run = RunFolder.create(tmp_path / "run", {})
    (run.path / name).write_bytes(b"precious")
    with pytest.raises(RunFolderError, match="is not a run that can be continued"):
        run.discard_unstarted()
    assert (run.path / name).read_bytes() == b"precious"
