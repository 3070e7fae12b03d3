"""Rendered frames of an episode, held compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
"""A rendered frame, uint8 `[height, width, 3]`."""


def as_rgb(frame: Any) -> Frame | None:
    """Return a rendered picture as a frame; None if it is not a picture.

    Grey pictures `[height, width]` or `[height, width, 1]` get three equal channels, a fourth
    channel, alpha, is dropped, and floats in [0, 1] are scaled to 0 to 255.
    """
    if not isinstance(frame, np.ndarray) or frame.ndim not in (2, 3) or not frame.size:
        return None
    if frame.ndim == 2:
        frame = frame[..., None]
    if frame.shape[2] not in (1, 3, 4) or frame.dtype.kind not in "biuf":
        return None
    frame = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame[..., :3]
    if frame.dtype.kind == "f":
        frame = np.nan_to_num(frame) * (255 if np.nanmax(frame) <= 1 else 1)
    if frame.dtype.kind == "b":
        frame = frame * 255
    return np.clip(frame, 0, 255).astype(np.uint8)


class Frames(Sequence[Frame]):
    """A sequence of frames, each compressed with zlib.

    Rendered worlds are mostly flat colour: thousands of frames fit in a few megabytes.
    """

    def __init__(self) -> None:
        """Start without frames."""
        self._packed: list[tuple[bytes, tuple[int, ...]]] = []

    def append(self, frame: Frame) -> None:
        """Add a frame."""
        frame = np.ascontiguousarray(frame)
        self._packed.append((zlib.compress(frame.data, 1), frame.shape))

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        """Decompress a frame, or the frames of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        data, shape = self._packed[index]
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)

    def repeat(self, index: int, earlier: int) -> None:
        """Replace frame `index` by frame `earlier`, sharing its bytes."""
        self._packed[index] = self._packed[earlier]

    def nbytes_of(self, index: int) -> int:
        """Return the compressed size of one frame, in bytes."""
        return len(self._packed[index][0])

    @property
    def nbytes(self) -> int:
        """Compressed size of all frames, in bytes; a repeated frame counts once."""
        return sum({id(data): len(data) for data, _ in self._packed}.values())
