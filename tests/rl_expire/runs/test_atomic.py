"""Whether a file can be written is found out without writing it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rl_expire.runs.atomic import check_folder, check_place


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    for name in ("old.html", "new.html"):
        check_place(tmp_path / name)
    assert os.listdir(tmp_path) == ["old.html"]
    assert (tmp_path / "old.html").read_text() == "old"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "page.html"):
        with pytest.raises(ValueError, match=r"cannot be written .*: give another file") as caught:
            check_place(path)
        assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


def test_a_folder_is_checked_without_making_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.png").write_text("old")
    for folder in (tmp_path / "old", tmp_path / "new", tmp_path / "new" / "deep"):
        check_folder(folder, ["a.png", "b.png"])
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == ["a.png"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "a.png").mkdir(parents=True)
    for folder, says in (
        (tmp_path / "file", r"file cannot be written \(Not a directory\): give another folder"),
        (tmp_path / "file" / "deep", r"deep cannot be written \(Not a directory\)"),
        (tmp_path / "full", r"a.png cannot be written \(it is a folder\): give another file"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            check_folder(folder, ["a.png"])
        assert "\n" not in str(caught.value)
