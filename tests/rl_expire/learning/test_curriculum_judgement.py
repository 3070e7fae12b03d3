"""The curriculum: how soon a level is judged, and when levels are skipped."""

import math
import random
import statistics

import pytest

from rl_expire.learning.curriculum import (
    FEWEST,
    Result,
)
from tests.rl_expire.learning.curricula import AT_ONCE, LONG, SLOWLY, finish, long_curriculum


def judged_naively(successes: list[float]) -> str | None:
    """Return the move that these successes, at most a window of them, lead to."""
    if len(successes) < FEWEST:
        return None
    if len(successes) == LONG.window:
        low = high = statistics.fmean(successes)
    else:
        doubted = [*successes, 1.0, 0.0]
        error = math.sqrt(statistics.pvariance(doubted) / len(doubted))
        low, high = (statistics.fmean(doubted) + sign * 2 * error for sign in (-1, 1))
    return "advance" if low >= 0.95 else "retreat" if high < 0.7 else None


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0])
def test_early_judgement_agrees_with_a_naive_computation(rate: float) -> None:
    dice = random.Random(rate)
    for count in (1, 31, 32, 33, 40, 50, 57, 58, 59, 80, 120, 200, 255, 256):
        for whole in (True, False):
            successes = [float(dice.random() < rate) for _ in range(count)]
            if not whole:
                successes = [max(0.0, x - 0.1 * dice.random()) for x in successes]
            curriculum = long_curriculum()
            finish(curriculum, *AT_ONCE)
            assert finish(curriculum, *successes) == judged_naively(successes)


@pytest.mark.parametrize(
    ("success", "enough", "move"), [(1.0, 58, "advance"), (0.0, 32, "retreat")]
)
def test_a_clear_result_is_judged_early_but_not_by_a_few_episodes(
    success: float, enough: int, move: str
) -> None:
    curriculum = long_curriculum()
    finish(curriculum, *AT_ONCE)
    moves = [finish(curriculum, success) for _ in range(enough)]
    assert moves == [None] * (enough - 1) + [move]


@pytest.mark.parametrize(
    ("steps", "enough"), [(0, 256), (1, 256), (3_900, 256), (10_000, 100), (100_000, 64)]
)
def test_of_long_episodes_fewer_are_enough(steps: int, enough: int) -> None:
    curriculum = long_curriculum()
    results = [Result(curriculum.level, float(n % 5 > 0), 0.0, steps) for n in range(256)]
    for count, result in enumerate(results, start=1):
        curriculum.observe([result])
        assert curriculum.measured == (count >= enough)


def test_an_unclear_result_is_judged_once_the_window_is_full() -> None:
    curriculum = long_curriculum()
    successes = [float(n % 20 > 0) for n in range(255)]  # 19 of 20, and the first is a failure
    assert finish(curriculum, *successes) is None
    assert curriculum.success < 0.95
    assert finish(curriculum, 1.0) is None
    assert finish(curriculum, 1.0) == "advance", "the first failure is no longer in the window"


def test_a_level_whose_rate_is_at_the_retreat_bound_is_never_passed() -> None:
    for seed in range(20):
        dice, curriculum = random.Random(seed), long_curriculum()
        for _ in range(500):
            finish(curriculum, *(float(dice.random() < LONG.retreat_at) for _ in range(4)))
            assert curriculum.index == 0


def test_after_a_level_that_was_mastered_at_once_the_next_step_is_twice_as_large() -> None:
    curriculum = long_curriculum()
    places = []
    for _ in range(4):
        assert finish(curriculum, *AT_ONCE) == "advance"
        places.append((curriculum.index, curriculum.stride))
    assert places == [(2, 2), (6, 4), (14, 8), (30, 16)]
    assert curriculum.passed == [0, 2, 6, 14]
    finish(curriculum, *AT_ONCE)
    assert curriculum.at_goal, "and no step leads beyond the last level"


def test_after_a_level_that_took_a_whole_window_steps_are_single_again() -> None:
    curriculum = long_curriculum()
    places = []
    for successes in (AT_ONCE, AT_ONCE, SLOWLY, SLOWLY, AT_ONCE):
        assert finish(curriculum, *successes) == "advance"
        places.append((curriculum.index, curriculum.stride))
    assert places == [(2, 2), (6, 4), (7, 1), (8, 1), (10, 2)]


def test_a_level_that_was_mastered_at_once_counts_so_although_it_is_left_later() -> None:
    """While lifetimes learn, a mastered level is left only once memory is ready."""
    curriculum = long_curriculum()
    for _ in range(5):  # the window becomes full meanwhile
        curriculum.observe(Result(8, x, 0.0) for x in AT_ONCE)
        assert curriculum.move(ready=False) is None
    assert curriculum.measured
    assert curriculum.move() == "advance"
    assert (curriculum.index, curriculum.stride) == (2, 2)


def test_a_level_that_failed_its_first_judgement_was_not_mastered_at_once() -> None:
    curriculum = long_curriculum()
    finish(curriculum, *AT_ONCE)
    assert finish(curriculum, *([1.0, 0.0] * 50), *([1.0] * 156)) is None
    assert curriculum.measured
    assert finish(curriculum, *[1.0] * 256) == "advance"
    assert (curriculum.index, curriculum.stride) == (3, 1)


def test_a_retreat_goes_back_to_the_level_passed_last_and_steps_are_single_again() -> None:
    curriculum = long_curriculum()
    for _ in range(3):
        finish(curriculum, *AT_ONCE)
    assert finish(curriculum, *[0.0] * 40) == "retreat"
    assert (curriculum.index, curriculum.passed, curriculum.stride) == (6, [0, 2], 1)
    finish(curriculum, *SLOWLY)
    assert (curriculum.index, curriculum.passed) == (7, [0, 2, 6])
    places = []
    for _ in range(4):
        places.append((finish(curriculum, *[0.0] * 40), curriculum.index))
    assert places == [("retreat", 6), ("retreat", 2), ("retreat", 0), (None, 0)]


def test_no_leap_skips_a_level_that_requires_a_new_skill() -> None:
    curriculum = long_curriculum(new=(5, 6, 20))
    places = []
    while not curriculum.at_goal:
        finish(curriculum, *AT_ONCE)
        places.append(curriculum.index)
    assert places == [2, 5, 6, 20, 39]


def test_no_walk_through_any_curriculum_skips_a_new_level_or_passes_one_twice() -> None:
    for seed in range(30):
        dice = random.Random(seed)
        new = tuple(sorted(dice.sample(range(1, 40), 6)))
        curriculum = long_curriculum(new=new)
        for _ in range(60):
            before, passed = curriculum.index, list(curriculum.passed)
            move = finish(curriculum, *dice.choice([AT_ONCE, AT_ONCE, SLOWLY, [0.0] * 40]))
            after = curriculum.index
            if move == "advance":
                assert not [n for n in new if before < n < after]
                assert after > before
            elif move == "retreat":
                assert before not in new
                assert after == passed[-1]
            assert curriculum.passed == sorted(set(curriculum.passed))
            assert all(n < after for n in curriculum.passed)
