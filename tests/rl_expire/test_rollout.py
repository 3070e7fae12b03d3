"""What is collected belongs together: counting environments and a counting agent show it."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from rl_expire.returns import gae
from rl_expire.rollout import Actor, collect, take_rows
from rl_expire.types import Rollout, TimeStep
from tests.support import (
    CPU,
    CountingAgent,
    CountingEnv,
    DictCountingEnv,
    counting_envs,
    rows_of,
)

ROWS, T = 4, 9
SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP

modes = pytest.mark.parametrize("mode", [SAME, NEXT], ids=["SAME_STEP", "NEXT_STEP"])
kinds = pytest.mark.parametrize("env", [CountingEnv, DictCountingEnv], ids=["array", "dict"])


def actor_of(
    mode: AutoresetMode, env: type[CountingEnv] = CountingEnv, rows: int = ROWS
) -> Actor[Any]:
    return Actor(counting_envs(rows, mode, env), CountingAgent(), CPU, seed=0)


def read(step: TimeStep) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row, episode and step of the episode, as the observations tell them."""
    return CountingAgent._read(step.obs)


@modes
@kinds
def test_the_stored_memory_is_the_one_before_the_first_step(
    mode: AutoresetMode, env: type[CountingEnv]
) -> None:
    actor = actor_of(mode, env)
    for _ in range(4):
        rollout = collect(actor, T)
        first = rollout.steps.map(lambda x: x[0])
        _, _, count = read(first)
        # Where an episode begins, the memory may still hold the count of the one before.
        going_on = ~first.is_first
        assert rollout.memory.count[going_on].tolist() == count[going_on].tolist()


@modes
def test_a_collected_memory_is_left_alone_by_what_comes_after(mode: AutoresetMode) -> None:
    actor = actor_of(mode)
    collect(actor, T)
    rollout = collect(actor, T)
    kept = rollout.memory.count.clone()
    collect(actor, T)
    assert torch.equal(rollout.memory.count, kept)


@modes
@kinds
def test_action_reward_and_ends_belong_to_their_step(
    mode: AutoresetMode, env: type[CountingEnv]
) -> None:
    actor = actor_of(mode, env)
    for _ in range(3):
        rollout = collect(actor, T)
        for t in range(T):
            row, episode, count = read(rollout.steps.map(lambda x, t=t: x[t]))
            for b in range(ROWS):
                if not rollout.valid[t, b]:
                    continue
                assert row[b] == b
                assert rollout.action[t, b] == (count[b] + b) % 5
                assert rollout.reward[t, b] == 100 * count[b] + rollout.action[t, b]
                assert rollout.logits[t, b].tolist() == [count[b], count[b], b, 0, 0]
                assert rollout.value[t, b] == 101 * count[b] + 10_000 * episode[b]
                over = count[b] + 1 == CountingEnv.length(b, int(episode[b]))
                odd = int(episode[b]) % 2 == 1
                assert rollout.terminated[t, b] == (over and not odd)
                assert rollout.truncated[t, b] == (over and odd)


@modes
def test_the_next_step_carries_the_action_and_reward_that_led_to_it(mode: AutoresetMode) -> None:
    actor = actor_of(mode)
    rollout = collect(actor, 3 * T)
    assert rollout.steps.is_first[0].all()
    for t in range(3 * T):
        ended = rollout.terminated[t] | rollout.truncated[t]
        if mode == SAME:
            assert torch.equal(rollout.steps.is_first[t + 1], ended)
            assert rollout.valid.all()
        elif t + 1 < 3 * T:
            # The step after an end shows the last observation; the one after that is the first.
            assert torch.equal(rollout.valid[t + 1], ~ended)
            assert torch.equal(rollout.steps.is_first[t + 2], ended)
        assert torch.equal(rollout.steps.last_action[t + 1], rollout.action[t])
        assert torch.equal(rollout.steps.last_reward[t + 1], rollout.reward[t])


@modes
@kinds
def test_final_values_are_of_the_true_last_observation(
    mode: AutoresetMode, env: type[CountingEnv]
) -> None:
    actor = actor_of(mode, env)
    rollout = collect(actor, 3 * T)
    assert rollout.truncated.any()
    assert (rollout.final_value[~rollout.truncated] == 0).all()
    for t, b in rollout.truncated.nonzero().tolist():
        _, episode, count = read(rollout.steps.map(lambda x, t=t: x[t]))
        # One step on, with the memory of the step before: both count to `count + 1`.
        expected = 101 * (count[b] + 1) + 10_000 * episode[b]
        assert rollout.final_value[t, b] == expected


@modes
def test_the_bootstrap_value_does_not_move_the_memory_on(mode: AutoresetMode) -> None:
    actor = actor_of(mode)
    rollout = collect(actor, T)
    _, episode, count = read(rollout.steps.map(lambda x: x[T]))
    going_on = ~rollout.steps.is_first[T]
    assert torch.equal(rollout.bootstrap_value, 101 * count + 10_000 * episode)
    assert torch.equal(actor.memory.count[going_on], count[going_on].long())
    assert going_on.any()


def true_steps(rollout: Rollout[Any], values: torch.Tensor) -> list[list[float]]:
    """`values [T, B]` without the dummy steps, row by row."""
    return [values[:, b][rollout.valid[:, b]].tolist() for b in range(values.shape[1])]


@kinds
def test_both_ways_of_autoreset_give_the_same_advantages(env: type[CountingEnv]) -> None:
    advantages, returns = [], []
    for mode in (SAME, NEXT):
        rollout = collect(actor_of(mode, env), 60)
        both = gae(
            rollout.reward,
            rollout.value,
            rollout.bootstrap_value,
            rollout.terminated,
            rollout.truncated,
            rollout.final_value,
            rollout.valid,
            gamma=0.9,
            lam=0.8,
        )
        assert (both[0][~rollout.valid] == 0).all()
        advantages.append(true_steps(rollout, both[0]))
        returns.append(true_steps(rollout, both[1]))
    for kind in (advantages, returns):
        for b in range(ROWS):
            # Dummy steps take time, so NEXT_STEP gets less far; the last episode may be cut.
            common = len(kind[1][b]) - 6
            assert common > 20
            assert kind[0][b][:common] == pytest.approx(kind[1][b][:common])


def test_relevant_is_told_of_the_observation_acted_on() -> None:
    rollout = collect(actor_of(SAME), 2 * T)
    for t in range(2 * T):
        _, _, count = read(rollout.steps.map(lambda x, t=t: x[t]))
        assert rollout.relevant[t].tolist() == [int(c) % 3 == 0 for c in count]


@modes
def test_episodes_are_noted_with_their_return_length_and_info(mode: AutoresetMode) -> None:
    actor = actor_of(mode)
    collect(actor, 40)
    episodes = actor.take_episodes()
    assert actor.take_episodes() == []
    for b in range(ROWS):
        mine = [e for e in episodes if e.row == b]
        assert len(mine) > 5
        for number, episode in enumerate(mine):
            length = CountingEnv.length(b, number)
            assert episode.steps == length
            assert episode.total_reward == sum(100 * k + (k + b) % 5 for k in range(length))
            assert episode.info["success"] == number % 2
            assert episode.info["length"] == length


def test_disabled_autoreset_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="autoreset disabled: make them with") as error:
        actor_of(AutoresetMode.DISABLED)
    assert "\n" not in str(error.value)


def test_rows_of_object_arrays_and_dictionaries_become_dense() -> None:
    objects = np.empty(3, object)
    objects[0], objects[2] = np.array([1, 2]), np.array([5, 6])
    assert take_rows(objects, np.array([2, 0])).tolist() == [[5, 6], [1, 2]]
    objects[0], objects[2] = {"a": np.array([1])}, {"a": np.array([2])}
    assert take_rows(objects, np.array([0, 2]))["a"].tolist() == [[1], [2]]
    dense = {"a": np.arange(6).reshape(3, 2)}
    assert take_rows(dense, np.array([1]))["a"].tolist() == [[2, 3]]


def test_a_selection_of_rows_is_theirs_in_every_field() -> None:
    rollout = collect(actor_of(SAME, DictCountingEnv), T)
    rows = torch.tensor([3, 1])
    part = rollout.select(rows)
    assert torch.equal(part.value, rollout.value[:, rows])
    assert torch.equal(part.bootstrap_value, rollout.bootstrap_value[rows])
    assert torch.equal(part.memory.count, rollout.memory.count[rows])
    for t in range(T + 1):
        picked, whole = rows_of(part.steps.obs, t), rows_of(rollout.steps.obs, t)
        assert isinstance(picked, dict)
        assert isinstance(whole, dict)
        assert all(torch.equal(picked[name], whole[name][rows]) for name in whole)
