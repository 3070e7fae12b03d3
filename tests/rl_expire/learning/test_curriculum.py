"""The curriculum: when it advances, when it retreats, and how it is saved."""

import json
import math
import random
import statistics
from typing import Any

import pytest

from rl_expire.learning.curriculum import (
    FEWEST,
    STATE,
    Curriculum,
    CurriculumConfig,
    Level,
    Result,
    episode_results,
    ladder,
)
from rl_expire.learning.episode import Episode

CONFIG = CurriculumConfig(start=8, growth=1.5, advance_at=0.75, retreat_at=0.5, window=4)
LONG = CurriculumConfig(advance_at=0.95, retreat_at=0.7, window=256)
AT_ONCE, SLOWLY = [1.0] * 128, [1.0] * 246 + [0.0] * 10
"""Episodes that master a level of `LONG` before the window is full, and only then."""


def curriculum_to(goal: int) -> Curriculum:
    steps = ladder(CONFIG.start, goal, CONFIG.growth)
    return Curriculum([Level(step, {"max_length": step}) for step in steps], CONFIG)


def finish(
    curriculum: Curriculum, *successes: float, difficulty: float | None = None
) -> str | None:
    """Report episodes, by default of the hardest kind, and return the move they lead to."""
    difficulty = curriculum.level if difficulty is None else difficulty
    curriculum.observe(Result(difficulty, success, 0.0) for success in successes)
    return curriculum.move()


def test_the_first_level_is_start_or_the_goal_if_that_is_easier() -> None:
    assert curriculum_to(30).level == 8
    easy = curriculum_to(5)
    assert easy.level == 5
    assert easy.at_goal
    assert easy.progress == 1.0


def test_no_move_before_the_window_is_full() -> None:
    curriculum = curriculum_to(30)
    assert math.isnan(curriculum.success)
    assert finish(curriculum, 1, 1, 1) is None
    assert not curriculum.measured
    assert finish(curriculum, 1) == "advance"


def test_a_ladder_grows_by_a_factor_rounded_up_from_start_to_goal() -> None:
    assert ladder(4, 13, 1.3) == [4, 6, 8, 11, 13]
    assert ladder(1, 4, 1.01) == [1, 2, 3, 4]
    assert ladder(9, 5, 2.0) == [5]


def test_success_advances_level_by_level_up_to_the_goal() -> None:
    curriculum = curriculum_to(30)
    levels = []
    for _ in range(5):
        move = finish(curriculum, 1, 1, 1, 0)
        levels.append((move, curriculum.level))
    assert levels == [
        ("advance", 12),
        ("advance", 18),
        ("advance", 27),
        ("advance", 30),
        (None, 30),
    ]


def test_success_is_measured_anew_at_each_level() -> None:
    curriculum = curriculum_to(30)
    finish(curriculum, 1, 1, 1, 1)
    assert math.isnan(curriculum.success)
    assert not curriculum.measured


def test_only_episodes_of_the_harder_half_count() -> None:
    curriculum = curriculum_to(30)
    assert finish(curriculum, 1, 1, 1, 1, 1, difficulty=4) is None, (
        "exactly half belongs to the easier half"
    )
    assert finish(curriculum, 1, 1, 1, 1, 1, difficulty=9) is None, (
        "harder than the level, from before a retreat"
    )
    assert not curriculum.measured
    assert finish(curriculum, 1, 1, 1, 1, difficulty=4.5) == "advance"


def test_success_is_the_mean_over_the_last_window() -> None:
    curriculum = curriculum_to(30)
    curriculum.observe([Result(8, success, 2 * success) for success in (0, 0, 1, 1, 0, 1)])
    assert curriculum.success == 0.75
    assert curriculum.mean_return == 1.5


def test_unknown_success_counts_as_failure_beside_known_success_and_is_unknown_alone() -> None:
    curriculum = curriculum_to(30)
    assert finish(curriculum, math.nan, math.nan, math.nan, math.nan) is None
    assert curriculum.measured
    assert math.isnan(curriculum.success)
    curriculum.observe([Result(8, 1.0, 0.0)])
    assert curriculum.success == 0.25


def test_an_episode_without_its_difficulty_does_not_count() -> None:
    episodes = [Episode(0, 1.0, 5, {"success": 1.0}), Episode(0, 1.0, 5, {"length": 8.0})]
    curriculum = curriculum_to(30)
    curriculum.observe(episode_results(episodes, "length", "success"))
    assert curriculum.success == 0.0, "the second one alone, which tells no success"


@pytest.mark.parametrize(("successes", "move"), [((1, 1, 0, 0), None), ((1, 0, 0, 0), "retreat")])
def test_failure_retreats_only_below_the_threshold(successes: tuple[float, ...], move: str) -> None:
    curriculum = curriculum_to(30)
    finish(curriculum, 1, 1, 1, 1)
    assert finish(curriculum, *successes) == move
    assert curriculum.level == (12 if move is None else 8)


def test_no_retreat_from_a_level_that_requires_a_new_skill() -> None:
    curriculum = Curriculum([Level(8, {}), Level(8, {}, new=True), Level(12, {})], CONFIG)
    assert finish(curriculum, 1, 1, 1, 1) == "advance"
    assert finish(curriculum, 0, 0, 0, 0) is None
    assert finish(curriculum, 1, 1, 1, 1) == "advance"
    assert finish(curriculum, 0, 0, 0, 0) == "retreat"


def long_curriculum(levels: int = 40, new: tuple[int, ...] = ()) -> Curriculum:
    """Return a curriculum that can judge a level before its window is full."""
    return Curriculum([Level(8 + n, {}, new=n in new) for n in range(levels)], LONG)


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


@pytest.mark.parametrize(("successes", "place"), [(AT_ONCE, (2, 2)), (SLOWLY, (1, 1))])
def test_how_soon_a_level_was_mastered_is_part_of_the_state(
    successes: list[float], place: tuple[int, int]
) -> None:
    curriculum = long_curriculum()
    assert curriculum.state_dict()["at_once"] is None
    curriculum.observe(Result(8, x, 0.0) for x in successes)
    state = json.loads(json.dumps(curriculum.state_dict()))
    assert state["at_once"] is (successes is AT_ONCE)
    places = []
    for told in (state["at_once"], not state["at_once"]):
        restored = long_curriculum()
        restored.load_state_dict(state | {"at_once": told})
        assert restored.state_dict() == state | {"at_once": told}
        restored.observe(Result(8, 1.0, 0.0) for _ in range(256))  # now the window is full
        assert restored.move() == "advance"
        places.append((restored.index, restored.stride))
        assert restored.state_dict()["at_once"] is None, "the next level has not been judged"
    assert places == [place, (1, 1) if place == (2, 2) else (2, 2)]


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


def test_a_mastered_level_is_not_left_before_it_is_ready_but_a_lost_one_is() -> None:
    curriculum = long_curriculum()
    finish(curriculum, *AT_ONCE)
    curriculum.observe(Result(curriculum.level, x, 0.0) for x in AT_ONCE)
    assert curriculum.move(ready=False) is None
    assert (curriculum.index, curriculum.passed, curriculum.stride) == (2, [0], 2)
    assert curriculum.move(ready=True) == "advance"
    curriculum.observe(Result(curriculum.level, 0.0, 0.0) for _ in AT_ONCE)
    assert curriculum.move(ready=False) == "retreat"


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


def test_failure_retreats_level_by_level_down_to_the_first() -> None:
    curriculum = curriculum_to(30)
    for _ in range(3):
        finish(curriculum, 1, 1, 1, 1)
    levels = []
    for _ in range(4):
        move = finish(curriculum, 0, 0, 0, 0)
        levels.append((move, curriculum.level))
    assert levels == [("retreat", 18), ("retreat", 12), ("retreat", 8), (None, 8)]


def test_progress_is_logarithmic_between_start_and_goal() -> None:
    levels = [Level(difficulty, {}) for difficulty in (8, 8, 32, 128)]
    curriculum = Curriculum(levels, CONFIG)
    shares = []
    for index in range(4):
        curriculum.go_to(index)
        shares.append(curriculum.progress)
    assert shares == pytest.approx([0, 0, 0.5, 1])


def test_progress_is_zero_up_to_the_last_level_that_requires_a_new_skill() -> None:
    levels = [(2, True), (8, False), (8, True), (32, False), (128, False)]
    curriculum = Curriculum([Level(d, {}, new=new) for d, new in levels], CONFIG)
    shares = []
    for index in range(5):
        curriculum.go_to(index)
        shares.append(curriculum.progress)
    assert shares == pytest.approx([0, 0, 0, 0.5, 1])


def test_levels_of_equal_difficulty_may_differ_in_other_options() -> None:
    curriculum = Curriculum([Level(8, {"num_cues": n}) for n in (1, 2, 3)], CONFIG)
    assert (curriculum.progress, curriculum.at_goal) == (0.0, False)
    assert finish(curriculum, 1, 1, 1, 1) == "advance"
    assert (curriculum.level, curriculum.options) == (8, {"num_cues": 2})
    assert finish(curriculum, 1, 1, 1, 1) == "advance"
    assert (curriculum.progress, curriculum.at_goal) == (1.0, True)


def test_a_restored_curriculum_continues_as_the_original_does() -> None:
    curriculum = curriculum_to(30)
    finish(curriculum, 1, 1, 1, 1)
    finish(curriculum, 0, 1, 0)
    restored = curriculum_to(30)
    restored.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert (restored.level, restored.success) == (12, curriculum.success)
    assert finish(restored, 0) == finish(curriculum, 0) == "retreat"
    assert restored.level == curriculum.level == 8


def test_a_loaded_state_is_not_modified_later() -> None:
    curriculum = curriculum_to(30)
    state = {"index": 1, "passed": [0], "stride": 2, "at_once": None}
    state |= {"recent": [0.0], "returns": [2.0], "easier": []}
    before = json.dumps(state)
    curriculum.load_state_dict(state)
    assert curriculum.mean_return == 2.0
    assert finish(curriculum, 0, 0, 0, 0) == "retreat"
    assert json.dumps(state) == before


def test_the_easier_half_counts_by_itself_but_only_of_the_full_task() -> None:
    curriculum = curriculum_to(12)  # levels 8 and 12
    finish(curriculum, 0, 0, 0, 0, difficulty=3)
    assert math.isnan(curriculum.success), "of other levels, nothing is known from easy episodes"
    assert finish(curriculum, 1, 1, 1, 1) == "advance"
    finish(curriculum, 1, 1, 1, 1)
    assert finish(curriculum, 0, 1, 0, difficulty=6) is None
    assert curriculum.success == 1.0, "three episodes are no window of four"
    restored = curriculum_to(12)
    restored.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    for one in (curriculum, restored):
        finish(one, 1, difficulty=6)
        assert one.success == 0.5
        finish(one, 1, 1, 1, 1, difficulty=3)
        assert one.success == 1.0
        finish(one, 0, difficulty=12)
        assert one.success == 0.75
        assert finish(one, 0, 0, 0, difficulty=2) == "retreat"
        assert math.isnan(one.success)


def test_a_saved_state_is_not_modified_later() -> None:
    curriculum = curriculum_to(30)
    finish(curriculum, 1, 1, 1, 1)
    state = curriculum.state_dict()
    before = json.dumps(state)
    finish(curriculum, 1, 1, 1, 1)
    assert curriculum.passed == [0, 1]
    assert json.dumps(state) == before


def test_a_restored_curriculum_leaps_and_returns_as_the_original_does() -> None:
    curriculum, restored = long_curriculum(), long_curriculum()
    for _ in range(2):
        finish(curriculum, *AT_ONCE)
    restored.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    places = []
    for one in (curriculum, restored):
        finish(one, *AT_ONCE)
        places.append(one.index)
        for _ in range(3):
            finish(one, *[0.0] * 40)
            places.append(one.index)
    assert places == [14, 6, 2, 0] * 2


def test_returns_of_earlier_versions_are_unknown() -> None:
    curriculum = curriculum_to(30)
    curriculum.load_state_dict(curriculum.state_dict() | {"recent": [1.0, 0.0], "returns": []})
    assert curriculum.success == 0.5
    assert math.isnan(curriculum.mean_return)


BAD: list[tuple[str, Any, str]] = [
    *(("index", value, "curriculum/index is ") for value in (-1, 5, 1.0, None, True)),
    *(("stride", value, "curriculum/stride is ") for value in (0, -2, 2**70, 1.5, None)),
    *(
        ("passed", value, "curriculum/passed is not a list of levels below the current one")
        for value in (None, 0, (0,), [2], [-1], [0.0], [True], ["0"], [None])
    ),
    *(("recent", value, "curriculum/recent is not a list") for value in (None, 1.0, ["1"], [[]])),
    *(
        ("at_once", value, "curriculum/at_once is neither true nor false")
        for value in ("x", 2, 0.5, [], {})
    ),
    ("returns", None, "curriculum/returns is not a list of numbers"),
    ("easier", ["1"], "curriculum/easier is not a list of numbers"),
    ("returns", [1.0, 2.0, 3.0], "curriculum/returns is not a list of length 2"),
]


@pytest.mark.parametrize(("key", "value", "problem"), BAD)
def test_a_bad_state_is_refused_in_one_line(key: str, value: Any, problem: str) -> None:
    curriculum = curriculum_to(30)
    good: dict[str, Any] = {"index": 2, "passed": [0, 1], "stride": 1, "at_once": True}
    good |= {"recent": [1.0, 0.0], "returns": [1.0, 0.0], "easier": [0.5]}
    with pytest.raises(ValueError, match=problem) as caught:
        curriculum.load_state_dict(good | {key: value})
    assert len(str(caught.value).splitlines()) == 1
    assert (curriculum.index, curriculum.passed) == (0, []), "nothing is half loaded"
    curriculum.load_state_dict(good)
    assert curriculum.state_dict() == good


@pytest.mark.parametrize("missing", STATE)
def test_a_state_that_lacks_something_is_refused(missing: str) -> None:
    state = curriculum_to(30).state_dict()
    del state[missing]
    with pytest.raises(ValueError, match=f"curriculum lacks {missing}"):
        curriculum_to(30).load_state_dict(state)


def test_results_are_read_from_info_and_missing_success_counts_as_failure() -> None:
    solved = Episode(0, 1.0, 5, {"length": 7.0, "success": 1.0})
    unknown = Episode(1, 1.0, 5, {"length": 3.0})
    results = episode_results([solved, unknown], "length", "success")
    assert results == [(7.0, 1.0, 1.0), (3.0, 0.0, 1.0)]


def test_without_a_difficulty_missing_success_is_unknown() -> None:
    results = episode_results([Episode(0, 9.0, 5, {})], None, "success")
    assert results == [(1.0, pytest.approx(math.nan, nan_ok=True), 9.0)]
