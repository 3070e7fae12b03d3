"""The JSON files of a run, in which null stands for NaN and infinities."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rl_expire.runs.atomic import atomic_write
from rl_expire.runs.earlier_versions import rename_results
from rl_expire.runs.regular_file import check_regular

LARGEST = 2**20
"""Largest file to read, in bytes; those of a run have some thousand."""


def nonfinite_to_none(value: Any) -> Any:
    """Replace NaN and infinities by None, at any depth, so that the result is valid JSON."""
    if isinstance(value, dict):
        return {name: nonfinite_to_none(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [nonfinite_to_none(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path` atomically.

    Raises:
        UnwritableError: the file cannot be written.
        TypeError: `content` holds an object that JSON cannot represent.
    """
    text = json.dumps(nonfinite_to_none(content), indent=2) + "\n"
    with atomic_write(path) as temporary, temporary.open("w") as file:
        file.write(text)


def read_json(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """Read a JSON object from a file that somebody else may have written.

    Args:
        path: the file.
        largest: largest size of the file to read, in bytes.

    Raises:
        ValueError: it is missing, not a regular file, too large, or not a JSON object.
    """
    try:
        check_regular(path)
        if path.stat().st_size > largest:
            raise ValueError("it is too large")
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} cannot be read (it is not a JSON object)")
    return content


def read_results(path: Path) -> dict[str, Any]:
    """Read a `results.json`, with the keys of earlier versions under their present names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or does not hold a JSON object.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    return rename_results(read_json(path))
