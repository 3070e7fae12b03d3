"""What a run leaves on disk, written so that nothing is ever half there."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from rl_expire.runs.checkpoints import Checkpoints


class RunFolderError(ValueError):
    """A folder that cannot be written, or is not a run; the message says what to do."""


class RunFolder:
    """`config.json`, `metrics.jsonl`, `checkpoints/`, `results.json` and the pictures of a run."""

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = Checkpoints(path / "checkpoints")
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
            RunFolderError: the folder exists already or cannot be written.
        """
        run = RunFolder(path)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise RunFolderError(
                f"--out {path} exists already: give another folder, or --resume {path}"
            ) from None
        except OSError as error:
            raise _unwritable(f"--out {path}", error, "give another folder") from error
        try:
            run.checkpoints.folder.mkdir()
            write_json(run.config, config)
        except OSError as error:
            shutil.rmtree(path, ignore_errors=True)
            raise _unwritable(f"--out {path}", error, "give another folder") from error
        except RunFolderError:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return run

    def pictures(self) -> list[Path]:
        """Return what there is of video, page and figures (those of pixels) to look at."""
        fixed = [path for path in (self.video, self.page) if path.exists()]
        return fixed + sorted(self.stills.glob("*.png"))

    @staticmethod
    def open(path: Path) -> tuple[RunFolder, dict[str, Any]]:
        """Open an existing run; return it and its configuration.

        Raises:
            RunFolderError: `path` is not a run folder.
        """
        run = RunFolder(path)
        try:
            config = json.loads(run.config.read_text())
        except (OSError, ValueError, RecursionError):
            raise RunFolderError(
                f"{path} is not a run folder (no readable config.json): "
                "give a folder under runs/ that training has made"
            ) from None
        return run, config

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training into this run; the lock ends with the process.

        Raises:
            RunFolderError: another process has it, or the folder cannot be written.
        """
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunFolderError(
                f"another process is training {self.path}: stop that one first, or wait for it"
            ) from None
        except OSError as error:
            raise _unwritable(self.path, error, "make it writable, or copy it") from error
        try:
            yield
        finally:
            lock.release()


def latest_run(
    runs: Path, name: str, is_one: Callable[[dict[str, Any]], bool] | None = None
) -> Path:
    """Return the run of an environment in the folder `runs` that was saved last.

    Args:
        runs: where to look.
        name: the environment's id, or what to call it in a message.
        is_one: tells of the entry `env` of a configuration whether it counts; None: its id is to be
            `name`.

    Raises:
        RunFolderError: there is none.
    """

    def saved_at(run: RunFolder) -> float:
        return max(path.stat().st_mtime for path in run.checkpoints.paths())

    found = []
    for path in runs.glob("*/config.json"):
        with suppress(RunFolderError, KeyError, TypeError):
            run, config = RunFolder.open(path.parent)
            entry = config["env"]
            if (is_one(entry) if is_one else entry["id"] == name) and run.checkpoints.exist:
                found.append(run)
    if not found:
        raise RunFolderError(
            f"--resume latest: no run of {name} with a checkpoint in {runs}/: "
            "give the run's own folder, or start one"
        )
    return max(found, key=saved_at).path


def finite(value: Any) -> Any:
    """Replace NaN and infinities by None, at any depth, so that the result is JSON."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path` whole or not at all.

    Raises:
        RunFolderError: there is no space, or the folder cannot be written.
    """
    text = json.dumps(finite(content), indent=2) + "\n"
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(suffix=".part", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error, "make space there, or give another folder") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _unwritable(what: Path | str, error: OSError, remedy: str) -> RunFolderError:
    return RunFolderError(f"{what} cannot be written ({error.strerror or error}): {remedy}")


def commit() -> str:
    """Return the commit of the working tree, with `+` if it has changes; empty outside git."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        revision = git("rev-parse", "--short", "HEAD")
        return revision + ("+" if revision and git("status", "--porcelain", "-uno") else "")
    except OSError:
        return ""


def hardware() -> str:
    """Return one line that names processor, threads in use, and GPU if there is one."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    text = f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name()}"
    return text
