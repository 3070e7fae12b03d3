"""Runs the command lines within this process: starting Python and Torch takes seconds."""

from __future__ import annotations

import io
import os
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TINY = [
    *("--threads", "1", "--no-video", "--agent.width", "16", "--agent.max-span", "40"),
    *("--env.max-length", "6", "--curriculum.start", "4", "--train.num-envs", "8"),
    *("--train.total-steps", "512", "--train.rollout-length", "16", "--eval.episodes", "7"),
]


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """All of stderr, which must be one line, of bad input."""
        assert self.code == 2, self
        assert len(self.err.splitlines()) == 1, self.err
        return self.err.strip()


Call = Callable[..., Outcome]


@contextmanager
def _as_started(script: str, words: tuple[str, ...], cwd: Path) -> Iterator[None]:
    """What a new process would have; afterwards, all as it was."""
    argv, path = [str(EXPERIMENTS / script), *words], [str(EXPERIMENTS), *sys.path]
    with chdir(cwd), patch.object(sys, "argv", argv), patch.object(sys, "path", path):
        yield


@contextmanager
def on_path() -> Iterator[None]:
    """Let the scripts' modules be imported, as they import each other."""
    with patch.object(sys, "path", [str(EXPERIMENTS), *sys.path]):
        yield


def call(script: str, *words: str, cwd: Path) -> Outcome:
    """Run `experiments/script` with `words`, as `python` does."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with _as_started(script, words, cwd), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=err)
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(name="call")
def call_fixture(tmp_path: Path) -> Call:
    """Run a script in `tmp_path` as a user would: `call("watch.py", "run", ...)`."""
    return lambda script, *words: call(script, *words, cwd=tmp_path)


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of the smallest training of the corridor."""
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, for reading only."""
    folder = tmp_path_factory.mktemp("tiny")
    done = call("corridor.py", *TINY, "--out", "run", cwd=folder)
    assert done.code == 0, done.err
    return folder / "run"


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the run folder that may be changed."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], dict[str, int]]:
    """All files there are, and when each was written."""

    def look() -> dict[str, int]:
        found = (Path(folder) / name for folder, _, names in os.walk(tmp_path) for name in names)
        return {str(path): path.stat().st_mtime_ns for path in found}

    return look
