"""Exactly N episodes, none favoured for being short, and sums over the right steps."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rl_expire.evaluation import Score, evaluate, quotas
from tests.support import CPU, CountingAgent, CountingEnv, counting_envs

ROWS = 3
modes = pytest.mark.parametrize(
    "mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP], ids=["SAME_STEP", "NEXT_STEP"]
)


def score(mode: AutoresetMode = AutoresetMode.SAME_STEP, episodes: int = 8, held: int = 3) -> Score:
    envs = counting_envs(ROWS, mode)
    return evaluate(CountingAgent(held), envs, episodes, seed=0, greedy=True, device=CPU)


def played(episodes: int) -> list[tuple[int, int]]:
    """`(row, number)` of the episodes that are to be played: as many of each row as of others."""
    return [(b, n) for b in range(ROWS) for n in range(int(quotas(episodes, ROWS)[b]))]


@pytest.mark.parametrize(("episodes", "expected"), [(8, [3, 3, 2]), (3, [1, 1, 1]), (2, [1, 1, 0])])
def test_every_environment_plays_its_share(episodes: int, expected: list[int]) -> None:
    assert quotas(episodes, ROWS).tolist() == expected


@modes
@pytest.mark.parametrize("episodes", [1, 2, 8, 20])
def test_exactly_the_first_episodes_of_each_row_count(mode: AutoresetMode, episodes: int) -> None:
    result = score(mode, episodes)
    expected = sorted((b, CountingEnv.length(b, n)) for b, n in played(episodes))
    assert sorted((e.row, e.steps) for e in result.episodes) == expected
    lengths = [CountingEnv.length(b, n) for b, n in played(episodes)]
    rewards = [
        sum(100 * k + (k + b) % 5 for k in range(length))
        for (b, _), length in zip(played(episodes), lengths, strict=True)
    ]
    assert result.return_mean == pytest.approx(np.mean(rewards))
    assert result.success == np.mean([n % 2 for _, n in played(episodes)])


@modes
def test_kept_is_the_mean_over_the_steps_that_count_and_over_the_last_ones(
    mode: AutoresetMode,
) -> None:
    result = score(mode)
    lengths = [CountingEnv.length(b, n) for b, n in played(8)]
    kept = [min(k + 1, 3) for length in lengths for k in range(length)]
    assert result.kept_per_layer == [pytest.approx(np.mean(kept))]
    at_end = [min(length, 3) for length in lengths]
    assert result.kept_at_end_per_layer == [pytest.approx(np.mean(at_end))]


@modes
def test_spans_are_those_of_new_states_split_by_relevance(mode: AutoresetMode) -> None:
    result = score(mode)
    spans: dict[bool, list[float]] = {True: [], False: []}
    for b, n in played(8):
        for k in range(CountingEnv.length(b, n)):
            spans[k % 3 == 0].append(3 - 1 + b)
    assert result.span_relevant == pytest.approx(np.mean(spans[True]))
    assert result.span_other == pytest.approx(np.mean(spans[False]))


def test_without_memories_one_by_one_there_is_nothing_kept_but_bytes_are_counted() -> None:
    result = score(held=0)
    assert result.kept_per_layer == []
    assert result.kept_at_end_per_layer == []
    assert np.isnan(result.span_other)
    assert result.bytes_held == 64


def test_no_episodes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"--eval\.episodes is 0: choose 1 or more"):
        score(episodes=0)
