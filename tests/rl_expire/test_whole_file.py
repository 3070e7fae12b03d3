"""Whether a file can be written is found out without writing it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rl_expire.whole_file import check_place


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
