"""Environments that fail: the error message, the rebuilding, and the other environments."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl_expire.learning.actor import Actor
from rl_expire.vector.faults import (
    FAULT,
    EnvFaultError,
    Guard,
    check_batch,
    close_envs,
    closing_envs,
    reward_array,
    space_mismatch,
)
from rl_expire.vector.process import AsyncEnvs, EnvProcess
from rl_expire.vector.state import env_state, load_env_state
from tests.counting import CountingAgent, CountingEnv, ReusedObs
from tests.faulty import FAULTS, LENGTH, FaultyEnv
from tests.support import CPU

MESSAGES = {
    "raise": "step 3 of its episode: ZeroDivisionError: the physics broke down",
    "nan reward": "step 3 of its episode: its reward is nan",
    "no reward": "step 3 of its episode: its reward is 'None': return a number",
    "reward array": "step 3 of its episode: its reward has shape (1,): return a number",
    "inf obs": "step 3 of its episode: its observation['count'] is not finite",
    "shape": "step 3 of its episode: its observation['count'] has shape (3,), not (2,)",
    "dtype": "step 3 of its episode: its observation['count'] is <U1, not float32",
    "key": "step 3 of its episode: its observation does not have exactly the keys count",
    "reset": "step 0 of its episode: RuntimeError: no such level",
    "hang": "step 3 of its episode: TimeoutError: no answer within 0.3 seconds",
    "die": "step 3 of its episode: EOFError: its process has died, exit code -9",
}
IN_PROCESS = [fault for fault in FAULTS if fault not in ("hang", "die")]
"""Faults that can be handled without a separate process."""


def make_guarded(
    fault: str, rows: int = 3, *, process: bool, restart: bool, once: Path | None = None
) -> SyncVectorEnv:
    """Return environments of which the one in row 1 fails."""

    def make(row: int) -> Guard:
        make: Any = partial(FaultyEnv, fault if row == 1 else "none", 3, once and str(once))
        if process:
            make = partial(EnvProcess, make, 0.3 if row == 1 else 30.0)
        return Guard(make, row, restart=restart, max_faults=2)

    kind = AsyncEnvs if process else SyncVectorEnv
    makers = [partial(make, row) for row in range(rows)]
    return kind(makers, autoreset_mode=AutoresetMode.SAME_STEP)


def play(envs: SyncVectorEnv, steps: int) -> list[tuple[Any, ...]]:
    """Return the results of a reset and of `steps` steps."""
    results: list[tuple[Any, ...]] = [envs.reset(seed=5)]
    for _ in range(steps):
        results.append(envs.step(np.zeros(envs.num_envs, np.int64)))
    return results


CASES = [(fault, False) for fault in IN_PROCESS] + [("raise", True), ("hang", True), ("die", True)]


@pytest.mark.parametrize(("fault", "process"), CASES)
def test_a_fault_is_reported_with_row_step_and_reason(fault: str, process: bool) -> None:
    envs = make_guarded(fault, process=process, restart=False)
    with pytest.raises(EnvFaultError) as caught:
        play(envs, 9)
    message = str(caught.value)
    if process and fault == "raise":
        assert "environment 1, step 3 of its episode: RuntimeError: ZeroDivisionError" in message
    else:
        assert message == f"environment 1, {MESSAGES[fault]}"
    envs.close()


@pytest.mark.parametrize(("fault", "process"), CASES)
def test_only_the_faulty_environment_is_rebuilt_and_its_episode_truncated(
    fault: str, process: bool, tmp_path: Path
) -> None:
    envs = make_guarded(fault, process=process, restart=True, once=tmp_path / "once")
    healthy = make_guarded("none", process=False, restart=False)
    results, expected = play(envs, 2 * LENGTH), play(healthy, 2 * LENGTH)
    for (obs, reward, *over, _), (good, good_reward, *good_over, _) in zip(
        results[1:], expected[1:], strict=True
    ):
        for row in (0, 2):
            np.testing.assert_array_equal(obs["count"][row], good["count"][row])
            assert reward[row] == good_reward[row]
            assert [o[row] for o in over] == [o[row] for o in good_over]
    at = LENGTH if fault == "reset" else 3
    obs, reward, terminated, truncated, info = results[at]
    assert obs["count"][1, 0] == 0, "a new episode has begun"
    if fault == "reset":
        assert terminated[1]
        assert MESSAGES[fault] in info[FAULT][1]
    else:
        assert (reward[1], terminated[1], truncated[1]) == (0.0, False, True)
        assert info["final_obs"][1]["count"][0] == 2, "the last good observation"
        assert "environment 1, step 3" in info["final_info"][FAULT][1]
    ends = [results[at + n][2][1] for n in range(1, LENGTH + 1) if at + n < len(results)]
    assert ends == [n == LENGTH for n in range(1, len(ends) + 1)], "without further faults"
    envs.close()


def test_the_last_good_observation_outlives_a_fault_that_overwrites_it() -> None:
    class Overwriting(ReusedObs):
        def step(self, action: int) -> Any:
            if self.count == 1:
                self.kept[:] = np.nan
                raise RuntimeError("too late")
            return super().step(action)

    guard = Guard(partial(Overwriting, 3), 0, restart=True, max_faults=1)
    guard.reset(seed=0)
    guard.step(0)
    assert guard.step(0)[0].tolist() == [3, 0, 1]


def test_rebuilding_is_deterministic(tmp_path: Path) -> None:
    runs = [
        play(make_guarded("raise", process=False, restart=True, once=tmp_path / name), 9)
        for name in ("a", "b")
    ]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one[0]["count"], other[0]["count"])


def test_too_many_consecutive_faults_raise() -> None:
    envs = make_guarded("nan reward", process=False, restart=True)
    with pytest.raises(EnvFaultError, match=r"its reward is nan \(3 faults in a row\)"):
        play(envs, 20)


def test_an_episode_without_a_fault_resets_the_count() -> None:
    guard = Guard(partial(FaultyEnv, "raise", 3), 0, restart=True, max_faults=1)
    for _ in range(3):
        for fault in ("raise", "none"):
            guard.make = partial(FaultyEnv, fault, 3)
            guard.env = guard.make()
            guard.reset(seed=0)
            over = False
            while not over:
                _, _, terminated, truncated, _ = guard.step(0)
                over = terminated or truncated
    assert guard.consecutive_faults == 0


def test_an_environment_that_cannot_be_rebuilt_raises() -> None:
    guard = Guard(partial(FaultyEnv, "raise", 1), 4, restart=True, max_faults=2)

    def fail() -> gym.Env:
        raise OSError("the server is gone")

    guard.make = fail
    guard.reset(seed=0)
    with pytest.raises(EnvFaultError, match=r"environment 4.*the server is gone \(3 faults"):
        guard.step(0)


def test_processes_give_the_same_results_and_resume_from_their_generators() -> None:
    local, remote = (make_guarded("none", process=p, restart=False) for p in (False, True))
    for one, other in zip(play(local, 14), play(remote, 14), strict=True):
        np.testing.assert_array_equal(one[0]["count"], other[0]["count"])
    states = [env_state(envs) for envs in (local, remote)]
    assert states[0] == states[1]
    resets: list[Any] = [load_env_state(envs, states[0]) for envs in (local, remote)]
    np.testing.assert_array_equal(resets[0][0]["count"], resets[1][0]["count"])
    remote.close()
    with pytest.raises(EnvFaultError, match="has died"):
        remote.envs[0].step(0)


@pytest.mark.parametrize(
    ("space", "valid", "invalid", "problem"),
    [
        (spaces.Discrete(3), 2, 2.5, "is float64, not int64"),
        (spaces.Discrete(3), np.int32(1), np.zeros(1, int), "has shape (1,), not ()"),
        (spaces.Box(0, 255, (2,), np.uint8), np.ones(2, np.uint8), np.ones(2), "is float64"),
        (spaces.Box(-1.0, 1.0, (2,)), np.array([9, 9]), None, "has shape (), not (2,)"),
        (spaces.MultiBinary(2), np.ones(2, bool), np.ones(2), "is float64, not int8"),
        (spaces.Dict(a=spaces.Discrete(2)), {"a": 1}, {"a": 1, "b": 1}, "exactly the keys a"),
    ],
)
def test_observations_that_do_not_belong_to_the_space_are_found(
    space: gym.Space, valid: Any, invalid: Any, problem: str
) -> None:
    assert space_mismatch(space, valid) is None
    assert problem in str(space_mismatch(space, invalid))


def test_a_number_in_a_batch_that_is_not_finite_is_reported_with_its_row() -> None:
    reward, obs = np.zeros(3), {"a": np.zeros((3, 2), np.float32), "b": np.zeros((3, 2), np.uint8)}
    check_batch(reward, obs)
    obs["a"][2, 1] = np.nan
    with pytest.raises(EnvFaultError, match=r"environment 2: its observation\['a'\] is not finite"):
        check_batch(reward, obs)
    with pytest.raises(EnvFaultError, match="environment 1: its reward is not finite"):
        check_batch(np.array([0, np.inf, 0]), np.zeros(3))


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (["good", "bad"], "the rewards are no numbers"),
        (None, "the rewards have shape (), not (2,)"),
        (np.ones((2, 1)), "the rewards have shape (2, 1), not (2,)"),
    ],
)
def test_rewards_of_a_batch_that_are_no_numbers_are_reported(reward: Any, message: str) -> None:
    with pytest.raises(EnvFaultError, match=re.escape(message)):
        reward_array(reward, 2)


def test_an_environment_that_cannot_be_closed_costs_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    closed: list[int] = []

    class Unclosable(CountingEnv):
        def close(self) -> None:
            closed.append(self.row)
            raise OSError("still\nin use")

    makers = [
        partial(Guard, partial(Unclosable, row), row, restart=False, max_faults=1)
        for row in range(2)
    ]
    close_envs(SyncVectorEnv(makers))
    assert closed == [0, 1]
    expected = [f"environment {row} cannot be closed: OSError: still in use" for row in range(2)]
    assert capsys.readouterr().err.splitlines() == expected


def test_a_batch_of_its_own_kind_that_cannot_be_closed_costs_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Unclosable(SyncVectorEnv):
        def close_extras(self, **_: Any) -> None:
            raise OSError("in use")

    with closing_envs(Unclosable([partial(CountingEnv, 0)])) as envs:
        envs.reset(seed=0)
    assert capsys.readouterr().err == "the environments cannot be closed: OSError: in use\n"
    envs.close()


def test_episodes_that_failed_are_not_counted_and_their_faults_are_recorded(tmp_path: Path) -> None:
    def make(row: int, once: Path) -> Guard:
        class Failing(CountingEnv):
            def step(self, action: int) -> Any:
                if row == 1 and self.count == 1 and not once.exists():
                    once.touch()
                    raise RuntimeError("oh")
                return super().step(action)

        return Guard(partial(Failing, row), row, restart=True, max_faults=2)

    makers = [partial(make, row, tmp_path / "once") for row in range(2)]
    envs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    actor = Actor(envs, CountingAgent(), CPU, 0)
    failed = []
    for _ in range(6):
        failed.append(actor.advance(actor.act().action).failed.tolist())
    assert failed == [[False, n == 1] for n in range(6)]
    assert actor.take_faults() == ["environment 1, step 2 of its episode: RuntimeError: oh"]
    assert actor.take_faults() == []
    ended = [(e.row, e.steps) for e in actor.take_episodes()]
    assert ended[0] == (0, 2)
    assert (1, 2) not in ended
    assert all(e == (1, 3) or e[0] == 0 for e in ended)


def test_in_a_batch_of_its_own_kind_an_exception_is_one_line() -> None:
    class Broken(SyncVectorEnv):
        def step(self, actions: Any) -> Any:
            raise IndexError("index 7\nis out of bounds")

    envs = Broken([partial(CountingEnv, 0)], autoreset_mode=AutoresetMode.SAME_STEP)
    actor = Actor(envs, CountingAgent(), CPU, 0)
    with pytest.raises(EnvFaultError, match="cannot step: IndexError: index 7 is out of bounds"):
        actor.advance(actor.act().action)
