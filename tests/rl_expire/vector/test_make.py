"""Making environments: vectorization, wrappers, and errors that name the option."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from gymnasium.vector import SyncVectorEnv

import envs  # noqa: F401 (registers the environments)
from rl_expire.validate import OptionError
from rl_expire.vector.make import EnvConfig, make_envs
from rl_expire.vector.process import AsyncEnvs, EnvProcess

CORRIDOR, CARTPOLE, MASK = "RLExpire/Corridor-v0", "CartPole-v1", "envs.masked:MaskVelocity"


def test_a_configuration_survives_the_run_folder() -> None:
    config = EnvConfig(wrappers=("a:B",), vectorization="sync", restart=True, solved_return=1.0)
    stored = asdict(config) | {"wrappers": list(config.wrappers)}  # JSON has no tuples
    assert EnvConfig.from_json({"id": CARTPOLE, "making": stored}) == config
    assert EnvConfig.from_json({"id": CARTPOLE}) == EnvConfig()


def test_auto_is_native_unless_wrappers_or_restart_rule_it_out() -> None:
    assert not isinstance(make_envs(CORRIDOR, 1, {}), SyncVectorEnv)
    assert isinstance(make_envs(CARTPOLE, 1, {}, EnvConfig(wrappers=(MASK,))), SyncVectorEnv)
    assert isinstance(make_envs(CORRIDOR, 1, {}, EnvConfig(restart=True)), SyncVectorEnv)


def test_async_runs_each_environment_in_its_own_process() -> None:
    vector = make_envs(CARTPOLE, 2, {}, EnvConfig(vectorization="async"))
    assert isinstance(vector, AsyncEnvs)
    assert vector.reset(seed=0)[0].shape == (2, 4)
    processes = {cast(EnvProcess, env.unwrapped).process.pid for env in vector.envs}
    assert len(processes | {os.getpid()}) == 3
    vector.close()


@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("CartPole", "is not of the form module:Class"),
        ("no.module:Class", "cannot be imported"),
        ("envs.masked:Missing", "cannot be imported"),
        ("envs.masked:VELOCITIES", "give a class or a function"),
    ],
)
def test_a_wrapper_that_cannot_be_imported_is_an_option_error(
    vectorization: Literal["sync", "async"], path: str, problem: str
) -> None:
    with pytest.raises(OptionError, match=f"wrappers {path} .*{problem}") as caught:
        make_envs(CARTPOLE, 1, {}, EnvConfig((path,), vectorization))
    assert (caught.value.config, caught.value.field) == (EnvConfig, "wrappers")


def test_a_wrapper_that_rejects_the_environment_is_an_option_error() -> None:
    problem = f"wrappers {MASK} cannot wrap Blackjack-v1 .*knows the velocities of"
    with pytest.raises(OptionError, match=problem):
        make_envs("Blackjack-v1", 1, {}, EnvConfig(wrappers=(MASK,)))


def test_an_unknown_environment_is_reported_with_its_id() -> None:
    with pytest.raises(ValueError, match="environment NoSuch-v0 is unknown"):
        make_envs("NoSuch-v0", 1, {})


@pytest.mark.parametrize(
    ("env_id", "problem"),
    [
        ("tests.faulty:FaultyEnv", "is a class, not an id"),
        ("tests.faulty:continuous", "is a function, not an id"),
        ("tests/faulty.py", "is a file"),
        ("tests/faulty.py:FaultyEnv", "is a file"),
        ("tests.faulty:NoSuch-v0", "is unknown"),
        ("tests.faulty.FaultyEnv", "is unknown"),
        ("FaultyEnv", "is unknown"),
    ],
)
def test_what_is_not_an_id_is_explained_with_gymnasium_register(env_id: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        make_envs(env_id, 1, {})
    (line,) = str(caught.value).splitlines()
    assert env_id in line
    assert "gymnasium.register(id=ID, entry_point=...)" in line


def test_a_module_that_fails_is_reported_as_such(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "no_display.py").write_text("raise OSError('cannot open\\ndisplay')")
    monkeypatch.chdir(tmp_path)
    problem = r"its module no_display cannot be imported \(OSError: cannot open display\)"
    with pytest.raises(ValueError, match=problem) as caught:
        make_envs("no_display:Game-v0", 1, {})
    assert "unknown" not in str(caught.value)
