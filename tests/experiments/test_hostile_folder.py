"""No command that opens a folder imports a module that only the folder names."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium as gym
import pytest

from rl_expire.runs.policy import export_policy
from tests.experiments.conftest import Call, change_config

CORRIDOR = "RLExpire/Corridor-v0"
OPENED = {
    "watch": ("watch", "run"),
    "watch, compared": ("watch", "good", "--compare", "run"),
    "levels": ("levels", "run", "--levels", "4", "--episodes", "2"),
    "bench act": ("bench", "act", "--run", "run"),
    "bench agents": ("bench", "agents", "--runs", "run"),
    "resume": ("train", "--resume", "run", "--no-video"),
    "resume a task": ("train", "corridor", "--resume", "run", "--no-video"),
}
"""Commands that make the environment of the folder `run`."""
COMPARED = ("compare", "corridor", "--agents", "expire-span", "--seeds", "1")


@pytest.fixture(autouse=True)
def stranger(tmp_path: Path) -> Iterator[Path]:
    """A module `stranger.evil` in the working directory; importing it creates this file."""
    ran = tmp_path / "ran"
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "__init__.py").touch()
    (tmp_path / "stranger" / "evil.py").write_text(
        f"open({str(ran)!r}, 'w').close()\n"
        "from envs.corridor import CorridorEnv as Env\n"
        "def wrap(env): return env\n"
        "import gymnasium\n"
        "gymnasium.register('Stranger-v0', entry_point=Env)\n"
    )
    gym.register("Foreign-v0", entry_point="stranger.evil:Env")
    yield ran
    for name in ("stranger", "stranger.evil"):
        sys.modules.pop(name, None)
    for name in ("Foreign-v0", "Stranger-v0"):
        gym.registry.pop(name, None)


def env_of_a_module(run: Path) -> None:
    change_config(run, "env", "id", value="stranger.evil:Stranger-v0")


def wrapper_of_a_module(run: Path) -> None:
    change_config(run, "env", "making", value={"wrappers": ["stranger.evil:wrap"]})


def registered_env_of_a_module(run: Path) -> None:
    change_config(run, "env", "id", value="Foreign-v0")


def registered_env_behind_a_trusted_module(run: Path) -> None:
    change_config(run, "env", "id", value="gymnasium:Foreign-v0")


HOSTILE = (
    env_of_a_module,
    wrapper_of_a_module,
    registered_env_of_a_module,
    registered_env_behind_a_trusted_module,
)


@pytest.mark.parametrize("change", HOSTILE, ids=lambda function: function.__name__)
@pytest.mark.parametrize("exported", [False, True])
def test_a_module_that_only_a_folder_names_is_not_imported(
    change: Callable[[Path], None],
    exported: bool,
    own_run: Path,
    tmp_path: Path,
    call: Call,
    stranger: Path,
) -> None:
    shutil.copytree(own_run, tmp_path / "good")
    if exported:
        export_policy(own_run, tmp_path / "policy")
        shutil.rmtree(own_run)
        (tmp_path / "policy").rename(own_run)
    change(own_run)
    for words in OPENED.values():
        line = call(*words).line
        assert "none of it has been run" in line
        assert line.endswith("add --trust stranger.evil")
    assert not stranger.exists()
    assert "stranger" not in sys.modules


def test_commands_that_make_no_environment_import_nothing(
    own_run: Path, tmp_path: Path, call: Call, stranger: Path
) -> None:
    env_of_a_module(own_run)
    assert call("export", "run", "policy").code == 0
    assert call("check", "run").code == 0
    shutil.copytree(own_run, tmp_path / "cmp" / "expire-span" / "seed-1")
    assert call(*COMPARED, "--out", "cmp").code == 2
    entry = json.loads((own_run / "config.json").read_text())["env"]
    record = {"variant": "expire-span", "seed": 1, "command": "stranger.evil", "env": entry}
    (tmp_path / "earlier.json").write_text(json.dumps({"runs": [record]}))
    assert call(*COMPARED, "--out", "new", "--earlier", "earlier.json").code == 2
    assert not stranger.exists()


@pytest.mark.parametrize("trusted", ["stranger", "stranger.evil"])
def test_a_module_is_imported_once_the_user_trusts_it(
    trusted: str, own_run: Path, call: Call, stranger: Path
) -> None:
    wrapper_of_a_module(own_run)
    words = ("levels", "run", "--levels", "4", "--episodes", "2")
    assert "add --trust" in call(*words, "--trust", "strange", trusted + "s").line
    done = call(*words, "--trust", trusted)
    assert done.code == 0, done.err
    assert stranger.exists()
