"""The folder of a run's checkpoints: the most recent ones and the best."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from rl_expire.runs.atomic import atomic_write, remove_leftovers
from rl_expire.runs.checkpoint import CheckpointError, Tree, load_tree, save_tree

R = TypeVar("R")
UNSAFE = "last.pt"
"""The checkpoint of early versions: a pickle, which may run code when it is opened."""


class CheckpointFolder:
    """Checkpoints named by the number of updates, `00000100.safetensors`, and `best.safetensors`.

    Args:
        folder: the folder; `save` makes it if need be.
    """

    def __init__(self, folder: Path):
        """Name the folder; nothing is read or written."""
        self.folder = folder
        self.best = folder / "best.safetensors"

    def paths(self) -> list[Path]:
        """Return the recent checkpoints, the newest first; the best is not among them."""
        files = self.folder.glob("*.safetensors")
        return sorted((p for p in files if p.stem.isdecimal()), key=_updates, reverse=True)

    @property
    def exist(self) -> bool:
        """Whether there is any checkpoint."""
        return bool(self.paths())

    def save(self, state: Tree, updates: int, *, keep: int, best: bool = False) -> None:
        """Write a checkpoint, then delete old ones once it is on the disk and has been read back.

        Checkpoints of more than `updates` updates are deleted as well: they belong to what the run
        did before it was resumed from an earlier checkpoint.

        Args:
            state: what to save.
            updates: number of updates so far; it names the file.
            keep: number of recent checkpoints to keep, this one included.
            best: whether to keep it as the best one as well.

        Raises:
            UnwritableError: it cannot be written; the existing checkpoints are still there.
            CheckpointError: reading it back gave something else; likewise.
            OSError: the folder cannot be made, or an old checkpoint cannot be deleted.
        """
        self.folder.mkdir(exist_ok=True)
        remove_leftovers(self.folder)
        path = self.folder / f"{updates:08d}.safetensors"
        save_tree(state, path)
        if best:
            _link(path, self.best)
        abandoned = [p for p in self.paths() if _updates(p) > updates]
        kept = [p for p in self.paths() if p not in abandoned]
        for old in [*abandoned, *kept[keep:]]:
            old.unlink()

    def load(self, restore: Callable[[Tree], R], *, best: bool = False) -> R:
        """Pass checkpoints to `restore`, the newest first, until it accepts one.

        For each checkpoint that was skipped, a line on stderr says why.

        Args:
            restore: takes the state; it raises `ValueError`, and changes nothing, if the state
                does not fit.
            best: try the best checkpoint first.

        Returns:
            The result of `restore`.

        Raises:
            CheckpointError: there is no checkpoint, or none that can be used.
        """
        paths = [self.best, *self.paths()] if best and self.best.exists() else self.paths()
        skipped: list[str] = []
        for path in paths:
            try:
                result = restore(load_tree(path))
            except (ValueError, OSError) as error:
                skipped.append(f"{path} cannot be used: {' '.join(str(error).split())}")
                continue
            for line in skipped:
                print(f"{line}; using {path.name}", file=sys.stderr)
            return result
        raise CheckpointError(self._explain_none(skipped))

    def check(self) -> Iterator[tuple[Path, str]]:
        """Yield every checkpoint with what is wrong with it; an empty string if nothing is."""
        for path in [*self.paths(), *([self.best] if self.best.exists() else [])]:
            try:
                load_tree(path)
                yield path, ""
            except (ValueError, OSError) as error:
                yield path, str(error)

    def _explain_none(self, skipped: list[str]) -> str:
        """Return the error message for a folder without a usable checkpoint."""
        run = self.folder.parent
        if skipped:
            count = f" ({len(skipped)} checkpoints were tried)" if len(skipped) > 1 else ""
            return f"{skipped[0]}{count}: choose another run, or start a new one"
        if (self.folder / UNSAFE).exists():
            return (
                f"{run} was trained with an earlier version: its {UNSAFE} could run code and is "
                "no longer opened; train it again"
            )
        return f"{run} has no checkpoint yet: train it longer, or choose another run"


def _updates(path: Path) -> int:
    """Return the number of updates that a checkpoint is named by."""
    return int(path.stem)


def _link(path: Path, link: Path) -> None:
    """Make `link` the same file as `path`, or a copy where the file system has no hard links."""
    with atomic_write(link, flush=True) as temporary:
        temporary.unlink()
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
