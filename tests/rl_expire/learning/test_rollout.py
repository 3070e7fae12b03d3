"""Rollouts: their alignment, both autoreset modes, and the last observations of episodes.

The environment counts steps in its observation and the agent counts them in its memory: a value of
step + 100 * step + 10000 * episode is right only if observation, memory and position match.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch import Tensor

from rl_expire.learning.actor import Actor, take_rows
from rl_expire.learning.episode import Episode, success_of
from rl_expire.learning.returns import gae
from rl_expire.learning.rollout import collect
from rl_expire.types import Rollout, TimeStep
from rl_expire.vector.faults import Guard
from tests.counting import (
    CountingAgent,
    CountingEnv,
    DictCountingEnv,
    ObjectFinalObs,
    ReusedArrays,
    ReusedDict,
    ReusedObs,
    counting_envs,
)
from tests.support import (
    CPU,
    expire_agent,
    rows_of,
)

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
ROWS, T = 4, 17

modes = pytest.mark.parametrize("mode", [SAME, NEXT], ids=["same step", "next step"])
kinds = pytest.mark.parametrize("kind", [CountingEnv, DictCountingEnv], ids=["box", "dict"])


def guarded(kind: type[CountingEnv], mode: AutoresetMode) -> VectorEnv:
    """Return counting environments in guards, as `make_envs` makes environments."""
    makers = [
        partial(Guard, partial(kind, row), row, restart=False, max_faults=1) for row in range(ROWS)
    ]
    return SyncVectorEnv(makers, copy=False, autoreset_mode=mode)


ALIGNED: dict[str, Callable[[AutoresetMode], VectorEnv]] = {
    "box": lambda mode: counting_envs(ROWS, mode),
    "dict": lambda mode: counting_envs(ROWS, mode, DictCountingEnv),
    "without copies": lambda mode: counting_envs(ROWS, mode, copy=False),
    "dict without copies": lambda mode: counting_envs(ROWS, mode, DictCountingEnv, copy=False),
    "reused arrays": lambda mode: ReusedArrays(counting_envs(ROWS, mode)),
    "reused observation": lambda mode: guarded(ReusedObs, mode),
    "reused dict": lambda mode: guarded(ReusedDict, mode),
}
"""Makers of vector environments that may reuse what they return."""


def actor_of(envs: VectorEnv, agent: Any = None) -> Actor[Any]:
    return Actor(envs, agent or CountingAgent(), CPU, seed=0)


def positions(rollout: Rollout[Any]) -> Tensor:
    """Return `[T+1, B, 3]`: row, episode and step of every observation."""
    obs = rollout.steps.obs
    if isinstance(obs, dict):
        return torch.cat([obs["who"].long(), obs["step"].long().unsqueeze(-1)], -1)
    return obs.long()


def length_of(row: int, episode: int) -> int:
    return CountingEnv.length(row, episode)


@modes
@pytest.mark.parametrize("make", ALIGNED.values(), ids=ALIGNED)
def test_every_tensor_is_aligned_with_its_step(
    mode: AutoresetMode, make: Callable[[AutoresetMode], VectorEnv]
) -> None:
    actor = actor_of(make(mode))
    ends: set[str] = set()
    for _ in range(3):
        rollout = collect(actor, T)
        position = positions(rollout)
        for t in range(T):
            for b in range(ROWS):
                row, episode, step = position[t, b].tolist()
                assert row == b
                assert bool(rollout.steps.is_first[t, b]) == (step == 0)
                assert float(rollout.value[t, b]) == 101 * step + 10_000 * episode
                assert rollout.logits[t, b].tolist() == [step, step, row, 0, 0]
                action = int(rollout.action[t, b])
                assert action == (step + row) % 5
                assert bool(rollout.relevant[t, b]) == (step % 3 == 0)
                # `reset` does not set `choice` in these environments, so the default holds.
                assert bool(rollout.choice[t, b]) == (step == 0 or step % 4 > 0)
                assert int(rollout.steps.last_action[t + 1, b]) == action
                assert rollout.steps.last_reward[t + 1, b] == rollout.reward[t, b]
                length = length_of(row, episode)
                dummy = step == length
                assert bool(rollout.valid[t, b]) == (not dummy)
                assert float(rollout.reward[t, b]) == (0 if dummy else 100 * step + action)
                over = step + 1 == length
                odd = episode % 2 == 1
                assert bool(rollout.terminated[t, b]) == (over and not odd)
                assert bool(rollout.truncated[t, b]) == (over and odd)
                last = 101 * length + 10_000 * episode
                assert float(rollout.final_value[t, b]) == (last if over and odd else 0)
                ends.add("dummy" if dummy else "truncated" if over and odd else "other")
                following = [b, episode, step + 1]
                if dummy or (over and mode == SAME):
                    following = [b, episode + 1, 0]
                assert position[t + 1, b].tolist() == following
    assert ends == {"truncated", "other"} | ({"dummy"} if mode == NEXT else set())


@modes
def test_the_stored_memory_is_the_one_before_the_first_step(mode: AutoresetMode) -> None:
    actor = actor_of(counting_envs(ROWS, mode))
    checked = 0
    for _ in range(4):
        rollout = collect(actor, 5)
        first, step = rollout.steps.is_first[0], positions(rollout)[0, :, 2]
        continuing = ~first
        checked += int(continuing.sum())
        assert torch.equal(rollout.memory.count[continuing], step[continuing])
        replay = CountingAgent().unroll(rollout.steps.map(lambda x: x[:5]), rollout.memory)
        assert torch.equal(replay.value, rollout.value)
        before = rollout.memory.count.clone()
        collect(actor, 1)
        assert torch.equal(rollout.memory.count, before)
    assert checked > 4


@modes
def test_a_rollout_continues_where_the_previous_one_ended(mode: AutoresetMode) -> None:
    whole = collect(actor_of(counting_envs(ROWS, mode)), 12)
    actor = actor_of(counting_envs(ROWS, mode))
    pieces = [collect(actor, 4) for _ in range(3)]
    for name in ("action", "reward", "value", "terminated", "truncated", "final_value", "valid"):
        joined = torch.cat([getattr(piece, name) for piece in pieces])
        assert torch.equal(joined, getattr(whole, name)), name
    assert torch.equal(positions(pieces[0])[-1], positions(pieces[1])[0])


@modes
def test_the_bootstrap_value_is_that_of_the_step_after_the_last_and_leaves_memory_alone(
    mode: AutoresetMode,
) -> None:
    actor = actor_of(counting_envs(ROWS, mode))
    for length in (3, 5, 2, 4):
        rollout = collect(actor, length)
        _, episode, step = positions(rollout)[-1].unbind(-1)
        assert torch.equal(rollout.bootstrap_value, (101 * step + 10_000 * episode).float())
        continuing = ~actor.step.is_first
        assert torch.equal(actor.memory.count[continuing], step[continuing])


def advantages_by_position(mode: AutoresetMode, kind: type[CountingEnv]) -> dict[Any, float]:
    """Return the advantages of valid steps by (row, episode, step), of episodes that ended."""
    rollout = collect(actor_of(counting_envs(ROWS, mode, kind)), 40)
    names = ("reward", "value", "bootstrap_value", "terminated", "truncated", "final_value")
    tensors = {name: getattr(rollout, name).double() for name in names[:3]}
    tensors |= {name: getattr(rollout, name) for name in names[3:]}
    advantages, _ = gae(**tensors, valid=rollout.valid, gamma=0.9, lam=0.8)
    position = positions(rollout)[:-1]
    ended = {
        tuple(p[:2])
        for p, over in zip(
            position.reshape(-1, 3).tolist(),
            (rollout.terminated | rollout.truncated).flatten().tolist(),
            strict=True,
        )
        if over
    }
    return {
        tuple(p): a
        for p, a, valid in zip(
            position.reshape(-1, 3).tolist(),
            advantages.flatten().tolist(),
            rollout.valid.flatten().tolist(),
            strict=True,
        )
        if valid and tuple(p[:2]) in ended
    }


@kinds
def test_both_autoreset_modes_give_the_same_advantages(kind: type[CountingEnv]) -> None:
    same, following = advantages_by_position(SAME, kind), advantages_by_position(NEXT, kind)
    assert following.keys() <= same.keys()
    assert len(following) > 80
    assert {episode % 2 for _, episode, _ in following} == {0, 1}
    for position, advantage in following.items():
        assert advantage == pytest.approx(same[position], rel=1e-9)
    spread = np.std(list(following.values()))
    assert spread > 1


@kinds
def test_final_observations_may_be_an_object_array(kind: type[CountingEnv]) -> None:
    plain = collect(actor_of(counting_envs(ROWS, SAME, kind)), T)
    wrapped = collect(actor_of(ObjectFinalObs(counting_envs(ROWS, SAME, kind))), T)
    assert (plain.final_value > 0).any()
    assert torch.equal(wrapped.final_value, plain.final_value)


def test_take_rows_returns_dense_batches() -> None:
    rows = np.array([2, 0])
    dense = np.arange(6.0).reshape(3, 2)
    objects = np.empty(3, dtype=object)
    objects[0], objects[2] = dense[0], dense[2]
    dicts = np.empty(3, dtype=object)
    dicts[0], dicts[2] = {"a": dense[0], "b": 1}, {"a": dense[2], "b": 3}
    for obs in (dense, objects):
        taken = take_rows(obs, rows)
        assert taken.dtype == np.float64
        assert taken.tolist() == [[4, 5], [0, 1]]
    assert take_rows({"x": {"y": dense}}, rows)["x"]["y"].tolist() == [[4, 5], [0, 1]]
    taken = take_rows(dicts, rows)
    assert taken["a"].tolist() == [[4, 5], [0, 1]]
    assert taken["b"].tolist() == [3, 1]


@modes
@kinds
def test_finished_episodes_have_their_return_steps_and_info(
    mode: AutoresetMode, kind: type[CountingEnv]
) -> None:
    actor = actor_of(counting_envs(ROWS, mode, kind))
    episodes: list[Episode] = []
    for _ in range(4):
        collect(actor, 7)
        episodes += actor.take_episodes()
        assert actor.take_episodes() == []
    for row in range(ROWS):
        own = [e for e in episodes if e.row == row]
        assert len(own) >= 4
        for number, episode in enumerate(own):
            length = length_of(row, number)
            rewards = [100 * step + (step + row) % 5 for step in range(length)]
            assert episode.steps == length
            assert episode.total_reward == sum(rewards)
            assert episode.info["success"] == number % 2
            assert episode.info["length"] == length


def test_environments_without_autoreset_are_rejected() -> None:
    with pytest.raises(ValueError, match="autoreset disabled: make them with SAME_STEP"):
        actor_of(counting_envs(2, AutoresetMode.DISABLED))


def test_without_info_every_step_has_a_choice_and_none_is_relevant() -> None:
    class NoInfo(CountingEnv):
        def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
            return super().reset(**options)[0], {}

        def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            return *super().step(action)[:4], {}

    actor = actor_of(counting_envs(2, SAME, NoInfo))
    rollout = collect(actor, 9)
    assert not rollout.relevant.any()
    assert rollout.choice.all()
    assert actor.take_episodes()[0].info == {}


def test_an_episode_that_is_terminated_and_truncated_counts_as_terminated() -> None:
    class Both(CountingEnv):
        def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            obs, reward, terminated, truncated, info = super().step(action)
            return obs, reward, terminated or truncated, truncated, info

    actor = actor_of(counting_envs(2, SAME, Both))
    rollout = collect(actor, 20)
    assert rollout.terminated.sum() == len(actor.take_episodes()) > 5
    assert not rollout.truncated.any()
    assert not rollout.final_value.any()


@modes
def test_the_final_value_is_the_agents_value_of_the_last_observation(
    mode: AutoresetMode,
) -> None:
    agent = expire_agent(CountingEnv.observation_space, max_span=50.0)
    actor = actor_of(counting_envs(ROWS, mode), agent)
    collect(actor, 3)
    rollout = collect(actor, T)
    memory, checked = rollout.memory.snapshot(), 0
    for t in range(T):
        step = rollout.steps.map(lambda x, t=t: x[t])
        output, memory = agent.act(step, memory)
        torch.testing.assert_close(rollout.value[t], output.value, atol=1e-5, rtol=1e-5)
        obs = cast(Tensor, rows_of(rollout.steps.obs, t))
        last = TimeStep(
            obs + torch.tensor([0.0, 0.0, 1.0]),
            torch.zeros(ROWS, dtype=torch.bool),
            rollout.action[t],
            rollout.reward[t],
        )
        value = agent.act(last, memory.snapshot())[0].value
        expected = torch.where(rollout.truncated[t], value, torch.zeros(ROWS))
        torch.testing.assert_close(rollout.final_value[t], expected, atol=1e-5, rtol=1e-5)
        checked += int(rollout.truncated[t].sum())
    assert checked > 3
    assert rollout.final_value.unique().numel() > checked


@modes
def test_unroll_repeats_the_outputs_of_a_rollout(mode: AutoresetMode) -> None:
    agent = expire_agent(CountingEnv.observation_space)
    actor = actor_of(counting_envs(ROWS, mode), agent)
    for _ in range(3):
        rollout = collect(actor, T)
        output = agent.unroll(rollout.steps, rollout.memory)
        value = torch.cat([rollout.value, rollout.bootstrap_value.unsqueeze(0)])
        torch.testing.assert_close(output.value.detach(), value, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            output.logits[:-1].detach(), rollout.logits, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize(
    ("info", "total_reward", "solved_return", "success"),
    [
        ({"success": 0.0, "is_success": 1.0}, 9.0, 5.0, 0.0),
        ({"is_success": 1.0}, 0.0, 5.0, 1.0),
        ({"success": "yes", "is_success": np.bool_(True)}, 0.0, None, 1.0),
        ({}, 5.0, 5.0, 1.0),
        ({}, 4.9, 5.0, 0.0),
        ({}, 9.0, None, None),
    ],
)
def test_success_is_read_from_info_or_else_from_the_return(
    info: dict[str, Any], total_reward: float, solved_return: float | None, success: Any
) -> None:
    assert success_of(info, total_reward, solved_return) == success
