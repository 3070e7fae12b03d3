"""The JSON files of a run: always valid JSON, and those of earlier versions can be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rl_expire.runs.atomic import UnwritableError
from rl_expire.runs.json_file import nonfinite_to_none, read_results, write_json
from tests.support import FullFile, full

NAN, INF = float("nan"), float("inf")


def test_nan_and_infinities_become_null_at_any_depth_and_the_rest_stays() -> None:
    values = {"a": [1.0, {"b": -INF}], "c": (NAN, "nan"), "d": None, "e": True}
    expected = {"a": [1.0, {"b": None}], "c": [None, "nan"], "d": None, "e": True}
    assert nonfinite_to_none(values) == expected


def test_json_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"success": NAN, "kept": (1, 2)})
    assert json.loads(path.read_text()) == {"success": None, "kept": [1, 2]}
    before, opened = path.read_text(), Path.open
    for owner, name, broken in (
        (os, "replace", full),
        (Path, "open", lambda path, mode: FullFile(opened(path, mode))),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            with pytest.raises(UnwritableError, match="No space left") as caught:
                write_json(path, {"success": 1.0})
        assert len(str(caught.value).splitlines()) == 1
        assert path.read_text() == before
        assert os.listdir(tmp_path) == ["results.json"]
    with pytest.raises(TypeError):
        write_json(path, {"success": object()})
    assert path.read_text() == before


def test_results_of_earlier_versions_are_read_under_todays_keys(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    old = {
        "agent": "lstm",
        "eval.success": 0.9,
        "eval.success_at_max_length": 0.1,
        "eval.share_at_max_length": 0.2,
        "eval_sampled.success_at_max_length": None,
    }
    new = {
        "agent": "lstm",
        "eval.success": 0.9,
        "eval.success_at_hardest": 0.1,
        "eval.share_at_hardest": 0.2,
        "eval_sampled.success_at_hardest": None,
    }
    for content in (old, new):
        write_json(path, content)
        assert read_results(path) == new
        assert json.loads(path.read_text()) == content, "reading changes nothing"


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 100_000])
def test_results_that_are_not_a_json_object_are_refused_in_one_line(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError):
        read_results(path)
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json cannot be read \(") as caught:
        read_results(path)
    assert len(str(caught.value).splitlines()) == 1
