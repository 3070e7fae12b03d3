"""Evaluation: exactly N episodes, none favoured, and the memories held in them."""

import math
from statistics import geometric_mean
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from rl_expire.memory.horizon import SHORTEST
from rl_expire.scoring.evaluation import Score, evaluate, quotas
from rl_expire.types import ActorOutput, TimeStep
from tests.counting import CountingAgent, CountingEnv, CountingMemory, counting_envs
from tests.support import (
    CPU,
    expire_agent,
)

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
modes = pytest.mark.parametrize("mode", [SAME, NEXT], ids=["same step", "next step"])


def score_of(envs: VectorEnv, episodes: int, agent: Any = None, greedy: bool = True) -> Score:
    agent = agent or CountingAgent(held=3)
    return evaluate(agent, envs, episodes, seed=0, greedy=greedy, device=CPU)


def played(episodes: int, rows: int) -> list[tuple[int, int]]:
    """The episodes that are to be counted, as (row, length)."""
    return [
        (row, CountingEnv.length(row, episode))
        for row, quota in enumerate(quotas(episodes, rows))
        for episode in range(quota)
    ]


@modes
@pytest.mark.parametrize("episodes", [1, 3, 4, 7, 10])
def test_exactly_that_many_episodes_are_played(mode: AutoresetMode, episodes: int) -> None:
    score = score_of(counting_envs(4, mode), episodes)
    assert sorted((e.row, e.steps) for e in score.episodes) == sorted(played(episodes, 4))
    assert len(score.episodes) == episodes


def test_quotas_differ_by_one_at_most() -> None:
    assert quotas(10, 4).tolist() == [3, 3, 2, 2]
    assert quotas(2, 4).tolist() == [1, 1, 0, 0]
    assert quotas(8, 4).tolist() == [2, 2, 2, 2]


@modes
def test_short_episodes_are_not_favoured(mode: AutoresetMode) -> None:
    class Uneven(CountingEnv):
        @staticmethod
        def length(row: int, episode: int) -> int:
            return 20 if row else 2

    score = score_of(counting_envs(2, mode, Uneven), 10)
    # The first ten episodes to end would have been nine short ones and a long one.
    assert [e.row for e in score.episodes].count(1) == 5
    assert np.mean([e.steps for e in score.episodes]) == 11


def test_success_and_return_are_means_over_the_episodes() -> None:
    score = score_of(counting_envs(3, SAME), 8)
    totals = [sum(100 * s + (s + row) % 5 for s in range(length)) for row, length in played(8, 3)]
    assert score.return_mean == pytest.approx(np.mean(totals))
    assert score.success == pytest.approx((1 + 1 + 1) / 8)  # every row's second episode


@modes
def test_memories_held_and_lifetimes_computed_by_hand(mode: AutoresetMode) -> None:
    """Two environments with one episode each, of 2 and 3 steps; at most three memories."""
    score = score_of(counting_envs(2, mode), 2)
    assert score.kept_per_layer == pytest.approx([(1 + 2 + 1 + 2 + 3) / 5])
    assert score.kept_at_end_per_layer == pytest.approx([(2 + 3) / 2])
    assert score.bytes_held == 64
    # Lifetimes are 2 in row 0 and 3 in row 1; each first step is relevant.
    assert score.span_relevant == pytest.approx((2 * 3) ** (1 / 2))
    assert score.span_other == pytest.approx((2 * 3 * 3) ** (1 / 3))


@pytest.mark.parametrize(
    ("mode", "held", "episodes"),
    [(SAME, 1, 5), (SAME, 2, 1), (SAME, 4, 12), (NEXT, 1, 12), (NEXT, 2, 5), (NEXT, 4, 1)],
)
def test_memories_held_and_lifetimes_equal_a_loop_over_the_steps(
    mode: AutoresetMode, held: int, episodes: int
) -> None:
    score = score_of(counting_envs(4, mode), episodes, CountingAgent(held))
    kept, at_end = [], []
    spans: dict[bool, list[float]] = {True: [], False: []}
    for row, length in played(episodes, 4):
        at_end.append(min(length, held))
        for step in range(length):
            kept.append(min(step + 1, held))
            spans[step % 3 == 0].append(max(SHORTEST, held - 1 + row))
    assert score.kept_per_layer == pytest.approx([np.mean(kept)])
    assert score.kept_at_end_per_layer == pytest.approx([np.mean(at_end)])
    assert score.span_relevant == pytest.approx(geometric_mean(spans[True]))
    assert score.span_other == pytest.approx(geometric_mean(spans[False]))


def numbers(score: Score) -> list[float]:
    """Return what does not depend on how memories are stored."""
    return [
        *score.kept_per_layer,
        *score.kept_at_end_per_layer,
        score.span_relevant,
        score.span_other,
        score.return_mean,
        score.success,
    ]


def test_memory_is_compacted_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneLong(CountingEnv):
        """One environment plays a long episode first, and short ones later."""

        @staticmethod
        def length(row: int, episode: int) -> int:
            return 60 if (row, episode) == (0, 0) else 3

    agent = expire_agent(OneLong.observation_space, max_span=1000.0, initial_fraction=0.5)
    scores = []
    for every in (10**9, 7):
        monkeypatch.setattr("rl_expire.scoring.evaluation.COMPACT_EVERY", every)
        scores.append(score_of(counting_envs(2, SAME, OneLong), 120, agent))
    grown, compacted = scores
    assert numbers(compacted) == pytest.approx(numbers(grown), rel=1e-5)
    assert compacted.bytes_held < 0.6 * grown.bytes_held


def test_both_autoreset_modes_give_the_same_score() -> None:
    agent = expire_agent(CountingEnv.observation_space, layers=2)
    same, following = (score_of(counting_envs(3, mode), 8, agent) for mode in (SAME, NEXT))
    assert len(numbers(same)) == 8
    assert numbers(following) == pytest.approx(numbers(same), rel=1e-5)
    order = [
        sorted((e.row, e.total_reward, e.steps) for e in score.episodes)
        for score in (same, following)
    ]
    assert order[0] == order[1]


def test_an_agent_without_memories_to_view_has_no_numbers_per_layer() -> None:
    score = score_of(counting_envs(2, SAME), 3, CountingAgent(held=0))
    assert score.kept_per_layer == score.kept_at_end_per_layer == []
    assert math.isnan(score.span_relevant)
    assert math.isnan(score.span_other)


def test_without_relevant_observations_their_lifetime_is_nan() -> None:
    class Irrelevant(CountingEnv):
        def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
            return super().reset(**options)[0], {"rl_expire.relevant": False}

        def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            return *super().step(action)[:4], {"rl_expire.relevant": False}

    score = score_of(counting_envs(2, SAME, Irrelevant), 2)
    assert math.isnan(score.span_relevant)
    assert score.span_other == pytest.approx((2**2 * 3**3) ** (1 / 5))
    assert math.isnan(score.success)


def test_greedy_is_passed_to_the_agent() -> None:
    class Recording(CountingAgent):
        modes: set[bool]

        def act(
            self, step: TimeStep, memory: CountingMemory, *, greedy: bool = False
        ) -> tuple[ActorOutput, CountingMemory]:
            self.modes.add(greedy)
            return super().act(step, memory, greedy=greedy)

    for greedy in (True, False):
        agent = Recording()
        agent.modes = set()
        score_of(counting_envs(2, SAME), 2, agent, greedy)
        assert agent.modes == {greedy}


def test_only_sampling_depends_on_the_random_seed() -> None:
    agent = expire_agent(CountingEnv.observation_space)

    def returns(greedy: bool, seed: int) -> list[float]:
        torch.manual_seed(seed)
        score = score_of(counting_envs(4, SAME), 20, agent, greedy)
        return [e.total_reward for e in score.episodes]

    assert returns(True, 0) == returns(True, 1)
    assert returns(False, 0) == returns(False, 0)
    assert returns(False, 0) != returns(False, 1)


def test_no_gradient_is_kept_and_acting_is_timed() -> None:
    agent = expire_agent(CountingEnv.observation_space)
    score = score_of(counting_envs(2, SAME), 2, agent)
    assert score.seconds_per_step > 0
    assert all(p.grad is None for p in agent.parameters())


class Endless(CountingEnv):
    """A counting environment whose even rows have an endless second episode."""

    @staticmethod
    def length(row: int, episode: int) -> int:
        return 10**9 if row % 2 == 0 and episode == 1 else 3 + row


@modes
def test_an_episode_that_does_not_end_is_cut_off_and_the_others_are_played(
    mode: AutoresetMode,
) -> None:
    envs = counting_envs(4, mode, Endless)
    score = evaluate(CountingAgent(held=3), envs, 12, seed=0, greedy=True, device=CPU, max_steps=20)
    assert sorted((e.row, e.steps) for e in score.episodes) == [
        *[(0, 3), (0, 3), (0, 20)],
        *[(1, 4)] * 3,
        *[(2, 5), (2, 5), (2, 20)],
        *[(3, 6)] * 3,
    ]
    assert score.cut == 2
    assert {e.info["success"] for e in score.episodes if e.steps == 20} == {0.0}
    solved = [e.info["success"] for e in score.episodes if e.row % 2]
    assert solved.count(1.0) == 2, "every second episode, as without endless ones"
    at_end = [min(e.steps, 3) for e in score.episodes]
    assert score.kept_at_end_per_layer == [np.mean(at_end)]


def test_an_episode_as_long_as_the_limit_is_not_cut_off() -> None:
    score = evaluate(
        CountingAgent(), counting_envs(2, SAME), 2, seed=0, greedy=True, device=CPU, max_steps=3
    )
    assert ([e.steps for e in score.episodes], score.cut) == ([2, 3], 0)


def test_environments_that_always_end_have_no_limit() -> None:
    envs = counting_envs(2, SAME)
    envs.always_ends = True  # type: ignore[attr-defined]
    score = evaluate(CountingAgent(), envs, 2, seed=0, greedy=True, device=CPU, max_steps=1)
    assert ([e.steps for e in score.episodes], score.cut) == ([2, 3], 0)


def test_success_stays_unknown_where_no_episode_tells_it() -> None:
    class Silent(Endless):
        def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            return *super().step(action)[:4], {}

    for solved_return, success in [(None, math.nan), (0.0, 0.75)]:
        score = evaluate(
            *(CountingAgent(), counting_envs(2, SAME, Silent), 4),
            **{"seed": 0, "greedy": True, "device": CPU, "max_steps": 9},
            solved_return=solved_return,
        )
        assert score.cut == 1
        assert score.success == pytest.approx(success, nan_ok=True), "whatever its return"


@pytest.mark.parametrize("episodes", [0, -3])
def test_fewer_than_one_episode_is_refused(episodes: int) -> None:
    with pytest.raises(ValueError, match=f"^episodes is {episodes}: choose 1 or more"):
        score_of(counting_envs(2, SAME), episodes)
