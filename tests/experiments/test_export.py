"""`rl-expire export` and `rl-expire check`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.policy import load_policy
from experiments.cli import main
from rl_expire.runs.run_folder import RunFolder
from rl_expire.vector.stored_spaces import SPACES
from tests.experiments.conftest import Call, change_config, read_json

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


@pytest.mark.parametrize("version", ["present", "earlier"])
def test_a_run_and_its_export_can_be_loaded_without_the_environment(
    version: str, own_run: Path, call: Call
) -> None:
    assert SPACES in read_json(own_run / "config.json")
    if version == "earlier":
        change_config(own_run, SPACES, value=None)
    done = call("export", "run", "policy")
    assert (done.code, "no spaces" in done.out) == (0, False)
    policy = load_policy(own_run.parent / "policy")
    obs = np.zeros(policy.space.shape or (), np.uint8)
    action = policy.act(obs)
    assert action in (0, 1, 2)
    if version == "present":
        assert load_policy(own_run).act(obs) == action


def test_where_the_environment_cannot_be_made_spaces_are_left_out_with_a_line(
    own_run: Path, call: Call
) -> None:
    change_config(own_run, SPACES, value=None)
    change_config(own_run, "env", "id", value="somewhere:Else-v0")
    done = call("export", "run", "policy")
    assert done.code == 0
    assert "no spaces are stored, so that its environment is needed to load it: " in done.out
    assert "--trust somewhere" in done.out
