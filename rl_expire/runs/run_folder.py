"""The folder of a run, and the names of the files in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rl_expire.runs.atomic import UnwritableError, atomic_folder
from rl_expire.runs.checkpoint_folder import CheckpointFolder
from rl_expire.runs.json_file import read_json, write_json

CONFIG, CHECKPOINTS = "config.json", "checkpoints"


class RunFolderError(ValueError):
    """A folder that is not a run, or cannot be used as one; the message says what to do."""


class RunFolder:
    """`config.json`, `metrics.jsonl`, `checkpoints/`, `results.json` and the pictures of a run.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path):
        """Name the files of a run; nothing is read or written."""
        self.path = path
        self.config = path / CONFIG
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = CheckpointFolder(path / CHECKPOINTS)
        self.results = path / "results.json"
        self.levels = path / "levels.json"
        self.nonfinite = path / "nonfinite.json"
        self.video = path / "retention.mp4"
        self.page = path / "retention.html"
        self.stills = path / "stills"
        self.pair = path / "compare.mp4"

    @staticmethod
    def create(path: Path, config: dict[str, Any]) -> RunFolder:
        """Make a new run folder that holds `config`.

        Raises:
            RunFolderError: the folder exists already.
            UnwritableError: it cannot be written.
        """
        if os.path.lexists(path):
            raise RunFolderError(
                f"{path} exists already: choose another folder, or resume that run"
            )
        with atomic_folder(path) as folder:
            (folder / CHECKPOINTS).mkdir()
            write_json(folder / CONFIG, config)
        return RunFolder(path)

    @staticmethod
    def open(path: Path) -> tuple[RunFolder, dict[str, Any]]:
        """Open an existing run; return it and its configuration.

        Raises:
            RunFolderError: `path` is not a run folder.
        """
        run = RunFolder(path)
        try:
            return run, read_json(run.config)
        except ValueError:
            raise RunFolderError(
                f"{path} is not a run folder (no readable {CONFIG}): "
                "choose a folder that training has made, such as one under runs/"
            ) from None

    def pictures(self) -> list[Path]:
        """Return the paths of the video, the page and the PNG figures that exist."""
        fixed = [path for path in (self.video, self.page) if path.exists()]
        return fixed + sorted(self.stills.glob("*.png"))

    def discard_unstarted(self) -> None:
        """Remove a run that was killed before its first checkpoint, if there is one.

        Raises:
            RunFolderError: the folder holds anything else, or another process has its lock.
        """
        if not self.path.exists():
            return
        self.check_unstarted()
        with self.lock():
            self.check_unstarted()  # it may have been started in between
            shutil.rmtree(self.path)

    def check_unstarted(self) -> None:
        """Check that the folder, if there is one, is a run without a checkpoint and nothing else.

        Raises:
            RunFolderError: it is not.
        """
        own = {self.config, self.checkpoints.folder, self.path / ".lock"}
        found = set(self.path.glob("*")) if self.path.is_dir() else {self.path}
        if self.path.exists() and (not found <= own or any(self.checkpoints.folder.glob("[!.]*"))):
            raise RunFolderError(
                f"{self.path} is not a run that can be continued, nor one that has just begun: "
                "move it away, or choose another folder"
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training into this run; the lock ends with the process.

        Raises:
            RunFolderError: another process has the lock.
            UnwritableError: the folder cannot be written.
        """
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunFolderError(
                f"another process is training {self.path}: stop it, or wait until it is done"
            ) from None
        except OSError as error:
            raise UnwritableError(self.path, error, "make it writable, or copy it") from error
        try:
            yield
        finally:
            lock.release()


def latest_run(runs: Path, env: str, matches: Callable[[dict[str, Any]], bool]) -> Path:
    """Return the folder of the matching run whose last checkpoint is the most recent.

    Args:
        runs: folder of the runs to choose from.
        env: name of the environment for the error message.
        matches: whether a run counts, by the entry `env` of its configuration. Runs for whose
            entry it raises `KeyError` or `TypeError` do not.

    Raises:
        RunFolderError: there is no such run.
    """

    def saved_at(run: RunFolder) -> float:
        """Return the time of the last checkpoint."""
        return max(path.stat().st_mtime for path in run.checkpoints.paths())

    candidates = []
    for path in runs.glob(f"*/{CONFIG}"):
        with suppress(RunFolderError, KeyError, TypeError):
            run, config = RunFolder.open(path.parent)
            if matches(config["env"]) and run.checkpoints.exist:
                candidates.append(run)
    if not candidates:
        raise RunFolderError(
            f"no run of {env} with a checkpoint in {runs}/: choose a run folder, or start a new run"
        )
    return max(candidates, key=saved_at).path
