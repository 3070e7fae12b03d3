"""Commands that open a trained agent say in one line what is wrong with its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rl_expire.runs.checkpoint import save_tree
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import Call, Files, change_config


def unknown_agent(run: Path) -> None:
    change_config(run, "agent", "name", value="oracle-of-delphi")


def unknown_env(run: Path) -> None:
    change_config(run, "env", "id", value="RLExpire/Nowhere-v0")


def unknown_env_option(run: Path) -> None:
    change_config(run, "env", "options", "gravity", value=9.81)


def impossible_env_option(run: Path) -> None:
    change_config(run, "env", "options", "max_length", value=1)


def unknown_agent_option(run: Path) -> None:
    change_config(run, "agent", "options", "charm", value=3)


def impossible_agent_option(run: Path) -> None:
    change_config(run, "agent", "options", "layers", value=0)


def another_width(run: Path) -> None:
    change_config(run, "agent", "options", "width", value=32)


def no_agent(run: Path) -> None:
    change_config(run, "agent", value=None)


def a_list_as_config(run: Path) -> None:
    (run / "config.json").write_text("[1, 2]")


def no_config(run: Path) -> None:
    (run / "config.json").unlink()


def damaged_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        path.write_bytes(path.read_bytes()[:1000])


def weights_of_something_else(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        save_tree({"trainer": {"agent": {"weight": torch.ones(1)}}}, path)


def no_checkpoint(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


BROKEN: dict[Callable[[Path], None], str] = {
    unknown_agent: "'oracle-of-delphi'",
    unknown_env: "Nowhere",
    unknown_env_option: "gravity",
    impossible_env_option: "max_length=1",
    unknown_agent_option: "does not have the options of this version's agent",
    impossible_agent_option: "layers is 0",
    another_width: "does not fit the agent",
    no_agent: "is not the configuration of a run",
    a_list_as_config: "not a run folder",
    no_config: "not a run folder",
    damaged_checkpoint: "it is cut off",
    weights_of_something_else: "does not fit the agent",
    no_checkpoint: "has no checkpoint yet",
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda function: function.__name__)
def test_a_broken_run_is_one_line_and_nothing_is_written(
    damage: Callable[[Path], None], own_run: Path, call: Call, files: Files
) -> None:
    damage(own_run)
    before = files()
    for words in (["watch", "run"], ["levels", "run"], ["bench", "act", "--run", "run"]):
        line = call(*words).line
        assert line.startswith("rl-expire: error: ")
        assert BROKEN[damage] in line
    assert files() == before
