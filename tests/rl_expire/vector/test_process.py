"""Environments in processes of their own: starting and stopping them."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rl_expire.vector import process
from rl_expire.vector.process import AsyncEnvs, EnvProcess
from tests.faulty import FaultyEnv


def meeting(folder: Path, row: int, size: int) -> gym.Env:
    """Return an environment once `size` processes are making one at the same time."""
    (folder / str(row)).touch()
    deadline = time.monotonic() + 10
    while len(list(folder.iterdir())) < size:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody else came")
        time.sleep(0.01)
    return FaultyEnv()


def fail_to_make() -> gym.Env:
    raise OSError("the server is gone")


def envs_of(makers: list[Any]) -> AsyncEnvs:
    starters = [partial(EnvProcess, maker, 30.0) for maker in makers]
    return AsyncEnvs(starters, autoreset_mode=AutoresetMode.SAME_STEP)


def test_processes_start_together(tmp_path: Path) -> None:
    envs = envs_of([partial(meeting, tmp_path, row, 4) for row in range(4)])
    assert envs.reset(seed=0)[0]["count"].shape == (4, 2)
    envs.close()


def test_no_more_processes_start_together_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STARTING", 2)
    waits: list[int] = []

    class Counted(EnvProcess):
        def wait(self) -> None:
            if not self.made:
                waits.append(len(multiprocessing.active_children()))
            super().wait()

    before = len(multiprocessing.active_children())
    starters = [partial(Counted, FaultyEnv, 30.0) for _ in range(5)]
    envs = AsyncEnvs(starters, autoreset_mode=AutoresetMode.SAME_STEP)
    assert [alive - before for alive in waits] == [3, 4, 5, 5, 5]
    assert envs.reset(seed=0)[0]["count"].shape == (5, 2)
    envs.close()


def test_processes_end_when_one_environment_cannot_be_made() -> None:
    before = multiprocessing.active_children()
    with pytest.raises(RuntimeError, match="OSError: the server is gone"):
        envs_of([FaultyEnv, fail_to_make, FaultyEnv])
    assert multiprocessing.active_children() == before


def test_processes_work_where_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "multiprocessing", multiprocessing.get_context("spawn"))
    envs = envs_of([FaultyEnv, FaultyEnv])
    envs.reset(seed=0)
    assert envs.step(np.zeros(2, int))[0]["count"][:, 0].tolist() == [1, 1]
    envs.close()
