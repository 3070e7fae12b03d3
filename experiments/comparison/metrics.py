"""Read the `metrics.jsonl` of a run, also while the run is still writing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TAIL_BYTES = 4096
"""Bytes at the end of the file that hold at least one whole line."""


def last_metrics(path: Path) -> dict[str, Any]:
    """Return the last complete line; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().split(b"\n")
        return json.loads(lines[-2]) if len(lines) > 1 else {}
    except (OSError, ValueError):
        return {}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return all lines in the order of their steps; none if there is no file.

    A killed run repeats the steps after its last checkpoint when it is resumed. Of lines that are
    there twice, only the later ones are returned.
    """
    text = path.read_text() if path.exists() else ""
    lines: list[dict[str, Any]] = []
    for line in map(json.loads, text.splitlines()):
        while lines and lines[-1]["steps"] >= line["steps"]:
            lines.pop()
        lines.append(line)
    return lines
