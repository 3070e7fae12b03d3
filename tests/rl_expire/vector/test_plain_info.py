"""The info of other people's environments, through batches of any kind up to the episodes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from rl_expire.learning.actor import Actor
from rl_expire.learning.episode import Episode
from rl_expire.learning.rollout import collect
from rl_expire.vector.faults import EnvFaultError, Guard
from rl_expire.vector.make import EnvConfig, make_envs
from rl_expire.vector.plain_info import PlainInfo, plain_info
from rl_expire.vector.process import AsyncEnvs, EnvProcess
from tests.counting import CountingAgent, CountingEnv
from tests.support import CPU

Infos = Sequence[Sequence[dict[Any, Any]]]
"""The last info of each episode of each environment, in turn; the last one again and again."""


class InfoEnv(CountingEnv):
    """A counting environment with the last info of each episode as given."""

    def __init__(self, row: int, infos: Infos, first: dict[Any, Any] | None = None):
        """Take the last infos of all rows, and the info of each reset."""
        super().__init__(row)
        self.infos, self.first = infos[row], first or {}

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        return super().reset(**options)[0], dict(self.first)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, _ = super().step(action)
        last = self.infos[min(self.episode, len(self.infos) - 1)]
        return obs, reward, terminated, truncated, last if terminated or truncated else {}


def make(kind: str, infos: Infos, first: dict[Any, Any] | None = None) -> VectorEnv:
    """Return a batch of environments with these infos: `sync`, or `processes`."""

    def plain(row: int) -> gym.Env:
        return PlainInfo(InfoEnv(row, infos, first))

    def guarded(row: int) -> Guard:
        one: Any = partial(plain, row)
        if kind == "processes":
            one = partial(EnvProcess, one, 30.0)
        return Guard(one, row, restart=False, max_faults=0)

    vector = AsyncEnvs if kind == "processes" else SyncVectorEnv
    makers = [partial(guarded, row) for row in range(len(infos))]
    return vector(makers, autoreset_mode=AutoresetMode.SAME_STEP)


def episodes_of(envs: VectorEnv, steps: int = 12) -> list[Episode]:
    """Play, and return the episodes that finished."""
    actor = Actor(envs, CountingAgent(), CPU, seed=0)
    collect(actor, steps)
    envs.close()
    return actor.take_episodes()


def first_of(episodes: list[Episode], row: int) -> dict[str, float]:
    """Return the info of the first episode of an environment."""
    return next(e.info for e in episodes if e.row == row)


kinds = pytest.mark.parametrize("kind", ["sync", "processes"])

AS_WRITTEN: list[Any] = [True, 1, 1.0, np.bool_(True), np.float32(1), np.array(True), np.array([1])]
"""Ways to write a success."""


@kinds
def test_success_is_read_however_it_is_written(kind: str) -> None:
    infos = [[{"success": value}] for value in AS_WRITTEN]
    episodes = episodes_of(make(kind, infos))
    assert {e.row for e in episodes} == set(range(len(AS_WRITTEN)))
    assert all(e.info == {"success": 1.0} for e in episodes)


@pytest.mark.parametrize("value", [np.bool_(True), np.array(True), np.float32(1)], ids=repr)
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_success_is_read_from_a_batch_of_gymnasiums_own(value: Any, mode: AutoresetMode) -> None:
    infos = [[{"success": value}], [{"success": value}]]
    envs = SyncVectorEnv([partial(InfoEnv, row, infos) for row in range(2)], autoreset_mode=mode)
    assert {tuple(e.info.items()) for e in episodes_of(envs)} == {(("success", 1.0),)}


@kinds
def test_an_int_in_the_first_environment_does_not_truncate_the_floats_of_others(kind: str) -> None:
    episodes = episodes_of(make(kind, [[{"share": 1}], [{"share": 0.75}]]))
    assert [first_of(episodes, row)["share"] for row in (0, 1)] == [1.0, 0.75]


@kinds
def test_what_is_no_number_is_left_out_whatever_it_is(kind: str) -> None:
    length = iter(range(2, 99))
    turns = [None, {"a": 1}, "left", np.zeros(next(length)), np.zeros(next(length)), lambda: 0, 7]
    common = {3: 1, "_success": 0.0, "success": True, "mask": np.ones(4), "nan": np.nan}
    infos = [[{**common, "turn": value} for value in turns[n:] + turns[:n]] for n in range(3)]
    episodes = episodes_of(make(kind, infos), 40)
    assert len(episodes) > 3 * len(turns)
    assert all(e.info["success"] == 1.0 and set(e.info) <= {"success", "turn"} for e in episodes)
    assert {e.info["turn"] for e in episodes if "turn" in e.info} == {7.0}


@kinds
def test_an_episode_without_the_key_is_a_failure_once_another_has_had_it(kind: str) -> None:
    infos = [[{}, {"success": True}, {}, {"success": np.nan}, {}]]
    successes = [e.info.get("success") for e in episodes_of(make(kind, infos), 20)]
    assert successes[:5] == [None, 1.0, 0.0, 0.0, 0.0]


def test_other_peoples_choice_and_relevant_have_no_effect() -> None:
    theirs = {"choice": 0, "relevant": np.zeros(3), "decision": True, "text": 5, "withdrawn": "no"}
    rollout = collect(Actor(make("sync", [[{}]], theirs), CountingAgent(), CPU, seed=0), 9)
    assert rollout.choice.all()
    assert not rollout.relevant.any()


def test_flags_reach_the_rollout_however_they_are_written() -> None:
    for no, yes in [(False, True), (np.bool_(False), np.bool_(True)), (np.array(0), 1.0)]:
        ours = {"rl_expire.choice": no, "rl_expire.relevant": yes}
        for envs in (
            make("sync", [[{}], [{}]], ours),
            SyncVectorEnv(
                [partial(InfoEnv, row, [[{}], [{}]], ours) for row in range(2)],
                autoreset_mode=AutoresetMode.SAME_STEP,
            ),
        ):
            rollout = collect(Actor(envs, CountingAgent(), CPU, seed=0), 9)
            first = rollout.steps.is_first[:-1]
            assert first.sum() > 4
            assert (rollout.choice == ~first).all(), "only the infos of resets have the keys"
            assert (rollout.relevant == first).all()


@kinds
@pytest.mark.parametrize(
    ("info", "problem"),
    [
        ({"rl_expire.choice": np.zeros(3)}, "is an array of shape"),
        ({"rl_expire.relevant": "no"}, "is 'no': give True or False"),
        ({"rl_expire.decision": 0.5}, "is 0.5: give True or False"),
        ({"rl_expire.chioce": True}, "info has an unknown key 'rl_expire.chioce': the keys are"),
    ],
)
def test_a_mistake_under_our_keys_is_one_line_with_environment_and_key(
    kind: str, info: dict[str, Any], problem: str
) -> None:
    envs = make(kind, [[{}], [info]])
    with pytest.raises(EnvFaultError, match=f"^environment 1, step 3 of its episode: .*{problem}"):
        episodes_of(envs)
    with pytest.raises(ValueError, match=next(iter(info))):
        plain_info(info)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, bool), r"info\['rl_expire.choice'\] is not an array of 2 flags"),
        (np.array([True, None]), r"environment 1: info\['rl_expire.choice'\] is None"),
        (np.zeros((2, 2), bool), r"environment 0: info\['rl_expire.choice'\] is an array of shape"),
    ],
)
def test_a_mistake_in_a_batch_of_another_kind_is_one_line_too(value: Any, message: str) -> None:
    class Wrong(SyncVectorEnv):
        def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
            return super().reset(**options)[0], {"rl_expire.choice": value}

    envs = Wrong([partial(InfoEnv, row, [[{}], [{}]]) for row in range(2)])
    with pytest.raises(EnvFaultError, match=message):
        Actor(envs, CountingAgent(), CPU, seed=0)


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_environments_made_from_an_id_have_plain_info(vectorization: Any) -> None:
    infos = [[{"success": np.bool_(True), "x": lambda: 0}]]
    gym.register("Info-v0", lambda **_: InfoEnv(0, infos), disable_env_checker=True)
    envs = make_envs("Info-v0", 2, {}, EnvConfig(vectorization=vectorization))
    try:
        assert {tuple(e.info.items()) for e in episodes_of(envs)} == {(("success", 1.0),)}
    finally:
        del gym.registry["Info-v0"]
