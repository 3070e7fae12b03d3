"""`metrics.jsonl`: whole lines only, and none lost while the disk is full."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from rl_expire.runs.run_folder import finite


class MetricsFile:
    """Appends a line of JSON for each call of `add`; NaN is written as null."""

    def __init__(self, path: Path):
        self.path = path
        self.waiting: list[str] = []

    def add(self, metrics: dict[str, Any]) -> None:
        """Take in `metrics`, to be written by the next `flush`."""
        self.waiting.append(json.dumps(finite(metrics)) + "\n")

    def flush(self, *, sync: bool = False) -> None:
        """Write all lines that wait, or none of them: they then wait on.

        Args:
            sync: return only once they are on the disk.

        Raises:
            OSError: they cannot be written.
        """
        if not self.waiting and not (sync and self.path.exists()):
            return
        size = None
        try:
            with self.path.open("ab") as file:
                size = file.tell()
                file.write("".join(self.waiting).encode())
                file.flush()
                if sync:
                    os.fsync(file.fileno())
        except OSError:
            if size is not None:
                with suppress(OSError):
                    os.truncate(self.path, size)
            raise
        self.waiting.clear()

    def cut(self, steps: int) -> None:
        """Drop lines from the first on that is torn, or of more than `steps` steps.

        They were written after the checkpoint that the run goes on from, and will be again.

        Raises:
            OSError: the file cannot be changed.
        """
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        size = 0
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n") or not _within(line, steps):
                break
            size += len(line)
        if size < len(content):
            os.truncate(self.path, size)


def _within(line: bytes, steps: int) -> bool:
    try:
        return json.loads(line)["steps"] <= steps
    except (ValueError, KeyError, TypeError):
        return False
