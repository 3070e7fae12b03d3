"""Check what a file is before it is read: a folder from elsewhere may hold anything."""

from __future__ import annotations

from pathlib import Path


def check_regular(path: Path) -> None:
    """Check that a file, if it exists, is a regular one: others, such as pipes, may never end.

    Raises:
        ValueError: it is not.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file")
