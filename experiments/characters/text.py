"""A text as bytes, to learn from and to test on."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

HELD_OUT = 0.05
"""Share of a text that is kept for testing: its end."""


def read_text(path: Path | None, most: int) -> bytes:
    """Return the first `most` bytes of a text.

    Args:
        path: a file; None: the sources of Python's standard library, one after the other.
        most: number of bytes.

    Raises:
        ValueError: the file cannot be read.
    """
    if path is not None:
        try:
            with path.open("rb") as file:
                return file.read(most)
        except OSError as error:
            raise ValueError(f"--text {path} cannot be read: {error.strerror}") from error
    text = bytearray()
    for source in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text += source.read_bytes()
        if len(text) >= most:
            break
    return bytes(text[:most])


def in_rows(text: bytes, rows: int) -> Tensor:
    """Return a text as `rows` equally long parts, `[B, length]` int64; the rest is left out."""
    length = len(text) // rows
    array = np.frombuffer(text, np.uint8)[: length * rows].astype(np.int64)
    return torch.from_numpy(array).view(rows, length)


def split(text: bytes, rows: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return the parts of a text to learn from and to test on, `[B, length]` each.

    Raises:
        ValueError: it is too short for one segment of each.
    """
    end = len(text) - int(HELD_OUT * len(text))
    learn, test = in_rows(text[:end], rows), in_rows(text[end:], rows)
    if test.shape[1] <= steps:
        least = int(rows * (steps + 1) / HELD_OUT) + rows
        raise ValueError(
            f"--text has {len(text):,} bytes, too few for --rows {rows} and --steps {steps}: give "
            f"{least:,} or more"
        )
    return learn, test
