"""`rl-expire export` and `rl-expire check`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.cli import main
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import Call

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "run", {})
    for n in (1, 2):
        agent = {"weight": torch.full((2,), float(n))}
        trainer = {"agent": agent, "updates": n, "schedule": {"steps": 10 * n}}
        run.checkpoints.save({"trainer": trainer}, n, keep=2, best=n == 1)
    return run


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; returns its exit code, its output and its errors."""

    def call(*words: str) -> tuple[int, str, str]:
        try:
            main(list(words))
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_policy_is_exported_once_and_never_over_another(
    run: RunFolder, tmp_path: Path, command: Command
) -> None:
    assert command("export", str(run.path), str(tmp_path / "out"))[0] == 0
    code, _, err = command("export", str(run.path), str(tmp_path / "out"))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "exists already" in err
    code, _, err = command("export", str(tmp_path / "none"), str(tmp_path / "other"))
    assert (code, len(err.splitlines())) == (2, 1)


def test_a_damaged_checkpoint_is_reported_by_the_exit_code(
    run: RunFolder, command: Command
) -> None:
    code, out, _ = command("check", str(run.path))
    assert (code, out.count(": good")) == (0, 3)
    (newest, *_) = run.checkpoints.paths()
    newest.write_bytes(newest.read_bytes()[:-1])
    code, out, _ = command("check", str(run.path))
    assert (code, out.count(": good")) == (1, 2)


def test_a_folder_called_as_a_parameter_is_not_taken_for_an_option(
    own_run: Path, call: Call
) -> None:
    assert own_run.name == "run"
    line = call("export", "run", "run").line
    assert "error: run " in line
    assert "--run" not in line


def test_a_folder_without_checkpoints_does_not_pass_as_whole(own_run: Path, call: Call) -> None:
    assert call("export", "run", "policy").code == 0
    done = call("check", "policy")
    assert (done.code, done.out.strip()) == (1, "policy has no checkpoint")
    assert own_run.exists()
