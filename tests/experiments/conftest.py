"""Run commands within the test process, since starting Python and Torch takes seconds."""

from __future__ import annotations

import io
import json
import runpy
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from agents import LSTMConfig, make_agent
from experiments.cli import main
from experiments.training.config_file import agent_entry
from rl_expire.runs.checkpoint import save_tree
from rl_expire.runs.run_folder import RunFolder
from rl_expire.vector.make import make_env

SCRIPTS = Path(__file__).parents[2] / "experiments"
TINY = (
    *("--threads", "1", "--no-video", "--agent.width", "16", "--agent.max-span", "40"),
    *("--agent.initial-fraction", "0.5"),
    *("--env.max-length", "6", "--curriculum.start", "4", "--train.num-envs", "8"),
    *("--train.total-steps", "512", "--train.rollout-length", "16", "--eval.episodes", "7"),
)
"""Options of a corridor run of four updates."""


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The error message for bad input: all of stderr, which must be one line."""
        assert self.code == 2, self
        assert len(self.err.splitlines()) == 1, self.err
        return self.err.strip()


Call = Callable[..., Outcome]
Files = Callable[[], dict[str, int]]


def call(program: str, *words: str, cwd: Path) -> Outcome:
    """Run `rl-expire PROGRAM WORDS`, or `python experiments/PROGRAM WORDS` for a script.

    Args:
        program: a command of `rl-expire`, or the file name of a script.
        words: the other words of the command line.
        cwd: working directory.
    """
    is_script = program.endswith(".py")
    argv = [str(SCRIPTS / program), *words] if is_script else ["rl-expire", program, *words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with chdir(cwd), patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            if is_script:
                runpy.run_path(argv[0], run_name="__main__")
            else:
                main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=err)
    return Outcome(code, out.getvalue(), err.getvalue())


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text())


def change_config(run: Path, *keys: str, value: Any) -> None:
    """Set one entry of a run's `config.json`."""
    config = read_json(run / "config.json")
    entry = config
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    (run / "config.json").write_text(json.dumps(config))


@pytest.fixture(name="call")
def call_fixture(tmp_path: Path) -> Call:
    """Run a command in `tmp_path`: `call("watch", "run", ...)`."""
    return lambda program, *words: call(program, *words, cwd=tmp_path)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a corridor run; tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    done = call("train", "corridor", *TINY, "--out", "run", cwd=folder)
    assert done.code == 0, done.err
    return folder / "run"


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the run folder, at `tmp_path / "run"`."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def lstm_run(own_run: Path, tmp_path: Path) -> Path:
    """A run of an untrained LSTM in the environment of `own_run`, at `tmp_path / "lstm"`."""
    run = Path(shutil.copytree(own_run, tmp_path / "lstm"))
    agent = LSTMConfig(width=8)
    change_config(run, "agent", value=agent_entry(agent))
    env = make_env("RLExpire/Corridor-v0", {})
    weights = make_agent(env.observation_space, env.action_space, agent).state_dict()
    for path in RunFolder(run).checkpoints.paths():
        save_tree({"trainer": {"agent": weights}}, path)
    return run


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return all files in `tmp_path`, with the time of their last change, and all folders.

    Lock files are left out: they hold nothing, and newer versions of filelock make them anew.
    """
    return lambda: {
        str(path): 0 if path.is_dir() else path.stat().st_mtime_ns
        for path in tmp_path.rglob("*")
        if path.name != ".lock"
    }
