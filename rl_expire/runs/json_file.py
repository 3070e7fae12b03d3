"""The JSON files of a run, in which null stands for NaN and infinities."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rl_expire.runs.atomic import atomic_write
from rl_expire.runs.earlier_versions import rename_results

LARGEST_CONFIG = 2**20
"""Largest `config.json` to read, in bytes; real ones have a few thousand."""


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


def read_config(path: Path) -> dict[str, Any]:
    """Read a `config.json`, which somebody else may have written.

    Raises:
        ValueError: it is missing, not a regular file, too large, or not a JSON object.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, for instance, could be endless
            raise ValueError("it is not a regular file")
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError("it is too large")
        config = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} cannot be read (it is not a JSON object)")
    return config


def read_results(path: Path) -> dict[str, Any]:
    """Read a `results.json`, with the keys of earlier versions under their present names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or does not hold a JSON object.
    """
    try:
        results = json.loads(path.read_text())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error
    if not isinstance(results, dict):
        raise ValueError(f"{path} cannot be read (it is not a JSON object)")
    return rename_results(results)
