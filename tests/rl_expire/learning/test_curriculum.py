"""The curriculum: its levels, and when it advances and retreats."""

import json
import math

import pytest

from rl_expire.learning.curriculum import (
    Curriculum,
    Level,
    Result,
    episode_results,
    ladder,
)
from rl_expire.learning.episode import Episode
from tests.rl_expire.learning.curricula import (
    AT_ONCE,
    CONFIG,
    curriculum_to,
    finish,
    long_curriculum,
)


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


def test_a_mastered_level_is_not_left_before_it_is_ready_but_a_lost_one_is() -> None:
    curriculum = long_curriculum()
    finish(curriculum, *AT_ONCE)
    curriculum.observe(Result(curriculum.level, x, 0.0) for x in AT_ONCE)
    assert curriculum.move(ready=False) is None
    assert (curriculum.index, curriculum.passed, curriculum.stride) == (2, [0], 2)
    assert curriculum.move(ready=True) == "advance"
    curriculum.observe(Result(curriculum.level, 0.0, 0.0) for _ in AT_ONCE)
    assert curriculum.move(ready=False) == "retreat"


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


def test_results_are_read_from_info_and_missing_success_counts_as_failure() -> None:
    solved = Episode(0, 1.0, 5, {"length": 7.0, "success": 1.0})
    unknown = Episode(1, 1.0, 5, {"length": 3.0})
    results = episode_results([solved, unknown], "length", "success")
    assert results == [(7.0, 1.0, 1.0, 5), (3.0, 0.0, 1.0, 5)]


def test_without_a_difficulty_missing_success_is_unknown() -> None:
    results = episode_results([Episode(0, 9.0, 5, {})], None, "success")
    assert results == [(1.0, pytest.approx(math.nan, nan_ok=True), 9.0, 5)]
