"""What a run leaves on disk: whole or not at all, and safe to open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rl_expire.runs.run_folder import RunFolder, RunFolderError, finite, latest_run, write_json
from tests.support import FullFile, full

NAN, INF = float("nan"), float("inf")


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


def test_only_one_process_trains_into_a_run(run: RunFolder) -> None:
    with run.lock():
        with pytest.raises(RunFolderError, match="another process is training") as caught:
            RunFolder(run.path).lock().__enter__()
        assert str(run.path) in one_line(caught)
    with RunFolder(run.path).lock():
        pass


def test_the_lock_of_a_killed_process_does_not_stay(run: RunFolder) -> None:
    source = f"""
from pathlib import Path
from rl_expire.runs.run_folder import RunFolder
with RunFolder(Path({str(run.path)!r})).lock():
    print("locked", flush=True)
    import time; time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(RunFolderError, match="another process"):
        run.lock().__enter__()
    process.kill()
    process.wait()
    with run.lock():
        pass


def test_the_latest_run_is_the_one_saved_last(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"--resume latest: no run of Task-v0") as caught:
        latest_run(tmp_path, "Task-v0")
    one_line(caught)
    for n, (name, env_id) in enumerate([("b", "Task-v0"), ("a", "Task-v0"), ("c", "Other-v0")]):
        run = RunFolder.create(tmp_path / name, {"env": {"id": env_id}})
        run.checkpoints.save({"n": n}, n, keep=1)
        os.utime(run.checkpoints.paths()[0], (1000 + n, 1000 + n))
    RunFolder.create(tmp_path / "unsaved", {"env": {"id": "Task-v0"}})
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "config.json").write_text("[]")
    assert latest_run(tmp_path, "Task-v0") == tmp_path / "a"


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
