"""`metrics.jsonl`: only whole lines, and none lost while the disk is full."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from rl_expire.runs.json_file import nonfinite_to_none
from rl_expire.runs.regular_file import check_regular


class MetricsFile:
    """A JSON Lines file that metrics are appended to; NaN is written as null.

    Args:
        path: the file.

    Attributes:
        pending: lines that have not been written yet.
    """

    def __init__(self, path: Path):
        """Create a writer without pending lines; the file is not touched."""
        self.path = path
        self.pending: list[str] = []

    def add(self, metrics: dict[str, Any]) -> None:
        """Add a line for the next `flush` to write."""
        self.pending.append(json.dumps(nonfinite_to_none(metrics)) + "\n")

    def flush(self, *, sync: bool = False) -> None:
        """Append all pending lines to the file; if that fails, none, and they stay pending.

        Args:
            sync: wait until they are on the disk.

        Raises:
            OSError: they cannot be written.
        """
        if not self.pending and not (sync and self.path.exists()):
            return
        size = None
        try:
            with self.path.open("ab") as file:
                size = file.tell()
                file.write("".join(self.pending).encode())
                file.flush()
                if sync:
                    os.fsync(file.fileno())
        except OSError:
            if size is not None:
                with suppress(OSError):
                    os.truncate(self.path, size)
            raise
        self.pending.clear()

    def truncate(self, steps: int) -> None:
        """Drop everything from the first line on that is incomplete or beyond `steps` steps.

        Those lines were written after the checkpoint that the run is resumed from, and will be
        written again.

        Raises:
            OSError: the file cannot be changed.
            ValueError: it is not a regular file.
        """
        if not self.path.exists():
            return
        check_regular(self.path)
        content = self.path.read_bytes()
        size = 0
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n") or not _is_within(line, steps):
                break
            size += len(line)
        if size < len(content):
            os.truncate(self.path, size)


def _is_within(line: bytes, steps: int) -> bool:
    """Return whether a line holds valid metrics of at most `steps` steps."""
    try:
        return json.loads(line)["steps"] <= steps
    except (ValueError, KeyError, TypeError):
        return False
