"""The checkpoints of a run: the last few, the best one, and which of them to go on from."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from rl_expire.runs.checkpoint import CheckpointError, Tree, load_tree, save_tree, sync_folder

R = TypeVar("R")
OLD = "last.pt"
"""What checkpoints were once called; those ran code when they were opened without care."""


class Checkpoints:
    """Files `00000100.safetensors`, named by updates, and `best.safetensors`, in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.best = folder / "best.safetensors"

    def paths(self) -> list[Path]:
        """Return the last checkpoints, the newest first."""
        found = self.folder.glob("*.safetensors")
        return sorted((p for p in found if p.stem.isdecimal()), key=_number, reverse=True)

    @property
    def exist(self) -> bool:
        """Whether there is any."""
        return bool(self.paths())

    def save(self, state: Tree, updates: int, *, keep: int, best: bool = False) -> None:
        """Write a checkpoint; older ones go once it is on the disk and has been read back.

        Args:
            state: what to save.
            updates: how many there have been, its name.
            keep: how many of the last to keep, this one included.
            best: whether it is also to be kept as the best.

        Raises:
            OSError: it cannot be written; what was there is still there.
            CheckpointError: the disk does not give back what it was given; as above.
        """
        self.folder.mkdir(exist_ok=True)
        for part in self.folder.glob(".*.part"):  # of a process that was killed
            part.unlink()
        path = self.folder / f"{updates:08d}.safetensors"
        save_tree(state, path)
        if best:
            _same_file(path, self.best)
        # Later ones than this are of a time before the run went on from an earlier one.
        stale = [p for p in self.paths() if _number(p) > updates]
        for old in [*stale, *[p for p in self.paths() if p not in stale][keep:]]:
            old.unlink()

    def load(self, take: Callable[[Tree], R], *, best: bool = False) -> R:
        """Give checkpoints to `take`, the newest first, until it accepts one; return its answer.

        A line on stderr names each that had to be passed over.

        Args:
            take: raises `ValueError` for a state that does not fit, and is then as it was before.
            best: begin with the best one.

        Raises:
            CheckpointError: there is none, or none that can be used.
        """
        paths = [self.best, *self.paths()] if best and self.best.exists() else self.paths()
        refused: list[str] = []
        for path in paths:
            try:
                taken = take(load_tree(path))
            except (ValueError, OSError) as error:
                refused.append(f"{path} cannot be used: {' '.join(str(error).split())}")
                continue
            for line in refused:
                print(f"{line}; using {path.name}", file=sys.stderr)
            return taken
        raise CheckpointError(self._none_left(refused))

    def check(self) -> Iterator[tuple[Path, str]]:
        """Yield every checkpoint and what is wrong with it, empty if it is whole."""
        for path in [*self.paths(), *([self.best] if self.best.exists() else [])]:
            try:
                load_tree(path)
                yield path, ""
            except (ValueError, OSError) as error:
                yield path, str(error)

    def _none_left(self, refused: list[str]) -> str:
        run = self.folder.parent
        if refused:
            more = f" ({len(refused)} checkpoints were tried)" if len(refused) > 1 else ""
            return f"{refused[0]}{more}: choose another run, or start a new one"
        if (self.folder / OLD).exists():
            return (
                f"{run} was trained with an earlier version, whose {OLD} is not opened any more "
                "(it could run code): train it anew"
            )
        return f"{run} has no checkpoint yet: train it longer, or choose another run"


def _number(path: Path) -> int:
    return int(path.stem)


def _same_file(path: Path, other: Path) -> None:
    """Let `other` be the file `path` as well: without a copy, where the file system can."""
    temporary = other.with_name(f".{other.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        shutil.copyfile(path, temporary)
    os.replace(temporary, other)
    sync_folder(other.parent)
