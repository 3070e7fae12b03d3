"""metrics.jsonl: whole lines, none lost on a full disk, none twice in a resumed run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rl_expire.runs.metrics import MetricsFile
from tests.support import FullFile

NAN, INF = float("nan"), float("inf")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_are_lines_of_json_with_null_for_nan(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.add({"steps": 1, "success": NAN})
    file.flush()
    file.add({"steps": 2, "success": 0.5, "kept": [1.0, INF]})
    file.flush(sync=True)
    assert lines(file.path) == [
        {"steps": 1, "success": None},
        {"steps": 2, "success": 0.5, "kept": [1.0, None]},
    ]


def test_on_a_full_disk_whole_lines_are_kept_and_the_rest_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.add({"steps": 1})
    file.flush()
    opened = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: FullFile(opened(path, mode)))
        for steps in (2, 3):
            file.add({"steps": steps})
            with pytest.raises(OSError, match="No space left"):
                file.flush()
    assert lines(file.path) == [{"steps": 1}]
    file.add({"steps": 4})
    file.flush()
    assert [line["steps"] for line in lines(file.path)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "steps", "kept"),
    [
        (b'{"steps": 1}\n{"steps": 2}\n{"steps": 3}\n', 2, 2),
        (b'{"steps": 1}\n{"steps": 2}\n', 5, 2),
        (b'{"steps": 1}\n{"steps": 2}\n', 0, 0),
        (b'{"steps": 1}\n{"steps": 2', 5, 1),
        (b'{"steps": 1}\n{"steps": 2}', 5, 1),
        (b'{"steps": 1}\n\xff\x00\n{"steps": 2}\n', 5, 1),
        (b'{"steps": 1}\n[1]\n{"steps": 2}\n', 5, 1),
        (b"", 5, 0),
    ],
)
def test_lines_after_the_checkpoint_or_damaged_are_cut_off(
    content: bytes, steps: int, kept: int, tmp_path: Path
) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.path.write_bytes(content)
    file.truncate(steps)
    assert [line["steps"] for line in lines(file.path)] == [1, 2, 3][:kept]
    file.add({"steps": 9})
    file.flush()
    assert lines(file.path)[kept:] == [{"steps": 9}]


def test_truncating_a_missing_file_does_not_make_it(tmp_path: Path) -> None:
    MetricsFile(tmp_path / "metrics.jsonl").truncate(3)
    assert not list(tmp_path.iterdir())
