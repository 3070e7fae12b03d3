"""Files and folders appear whole or not at all, and leave no temporary files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_expire.runs.atomic import (
    UnwritableError,
    atomic_folder,
    atomic_write,
    check_folder_writable,
    check_writable,
    remove_leftovers,
)
from tests.support import full


def write(path: Path, text: str, **options: Any) -> None:
    with atomic_write(path, **options) as temporary:
        temporary.write_text(text)


def write_folder(path: Path) -> None:
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("new")


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    (line,) = str(error.value).splitlines()
    return line


@pytest.mark.parametrize("flush", [False, True])
def test_a_file_is_replaced_only_when_the_new_one_is_complete(flush: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path, ".mp4", flush=flush) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.json"]


def test_everybody_may_read_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "a", "new")
    write_folder(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o755


def test_content_and_name_are_flushed_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(os.readlink(f"/proc/self/fd/{fd}")))
    write(tmp_path / "a", "new")
    assert flushed == []
    write(tmp_path / "a", "new", flush=True)
    content, names = flushed
    assert Path(content).parent == tmp_path
    assert Path(content).name.startswith(".a.")
    assert names == str(tmp_path)


@pytest.mark.parametrize("broken", ["tempfile.mkstemp", "os.fsync", "os.chmod", "os.replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(broken, full)
    with pytest.raises(UnwritableError) as caught:
        write(path, "new", flush=True)
    expected = f"{path} cannot be written (No space left on device): free some disk space"
    assert one_line(caught) == expected
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_fails_verification_is_not_kept(tmp_path: Path) -> None:
    def verify(path: Path) -> None:
        if path.read_text() != "good":
            raise ValueError("it is not good")

    write(tmp_path / "a", "good", verify=verify)
    with pytest.raises(ValueError, match="it is not good"):
        write(tmp_path / "a", "bad", verify=verify)
    assert (tmp_path / "a").read_text() == "good"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_appears_with_everything_in_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "new"
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("new")
        assert not path.exists()
    assert (path / "a").read_text() == "new"
    assert os.listdir(path.parent) == ["new"]


@pytest.mark.parametrize("broken", ["tempfile.mkdtemp", "os.chmod", "os.rename", "os.replace"])
def test_a_full_disk_leaves_no_half_folder(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new"
    monkeypatch.setattr(broken, full)
    with pytest.raises(UnwritableError) as caught, atomic_folder(path) as temporary:
        write(temporary / "a", "new")
    expected = f"{path} cannot be written (No space left on device): free some disk space"
    assert one_line(caught) == expected
    assert not os.listdir(tmp_path)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match="exists already"):
        write_folder(tmp_path)
    assert not os.listdir(tmp_path)


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a", ".hidden", ".old.part"):
        (tmp_path / name).write_text("")
    abandoned = atomic_write(tmp_path / "b", ".txt")
    abandoned.__enter__()
    assert len(os.listdir(tmp_path)) == 4
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "a"]


def test_checking_a_path_leaves_it_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    for name in ("old.html", "new.html"):
        check_writable(tmp_path / name)
    assert os.listdir(tmp_path) == ["old.html"]
    assert (tmp_path / "old.html").read_text() == "old"


@pytest.mark.parametrize("attempt", [check_writable, lambda path: write(path, "new")])
def test_a_path_that_cannot_be_written_is_refused_in_one_line(
    attempt: Callable[[Path], None], tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "none" / "page.html"):
        with pytest.raises(UnwritableError) as caught:
            attempt(path)
        assert one_line(caught).startswith(f"{path} cannot be written (")
        assert one_line(caught).endswith("): choose another path")
    assert not os.listdir(tmp_path)


def test_checking_a_folder_does_not_make_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.png").write_text("old")
    for folder in (tmp_path / "old", tmp_path / "new", tmp_path / "new" / "deep"):
        check_folder_writable(folder, ["a.png", "b.png"])
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == ["a.png"]


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "a.png").mkdir(parents=True)
    for folder, message in (
        (tmp_path / "file", "file cannot be written (Not a directory): choose another folder"),
        (tmp_path / "file" / "deep", "deep cannot be written (Not a directory)"),
        (tmp_path / "full", "a.png cannot be written (it is a folder): choose another path"),
    ):
        with pytest.raises(UnwritableError) as caught:
            check_folder_writable(folder, ["a.png"])
        assert message in one_line(caught)
