"""The curriculum: when it advances, when it retreats, and how it is saved."""

import json
import math

import pytest

from rl_expire.learning.curriculum import (
    Curriculum,
    CurriculumConfig,
    Level,
    Result,
    episode_results,
    ladder,
)
from rl_expire.learning.episode import Episode

CONFIG = CurriculumConfig(start=8, growth=1.5, advance_at=0.75, retreat_at=0.5, window=4)


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
    state = {"index": 1, "recent": [0.0], "returns": [2.0]}
    curriculum.load_state_dict(state)
    assert curriculum.mean_return == 2.0
    assert finish(curriculum, 0, 0, 0, 0) == "retreat"
    assert state == {"index": 1, "recent": [0.0], "returns": [2.0]}


def test_results_are_read_from_info_and_missing_success_counts_as_failure() -> None:
    solved = Episode(0, 1.0, 5, {"length": 7.0, "success": 1.0})
    unknown = Episode(1, 1.0, 5, {"length": 3.0})
    results = episode_results([solved, unknown], "length", "success")
    assert results == [(7.0, 1.0, 1.0), (3.0, 0.0, 1.0)]


def test_without_a_difficulty_missing_success_is_unknown() -> None:
    results = episode_results([Episode(0, 9.0, 5, {})], None, "success")
    assert results == [(1.0, pytest.approx(math.nan, nan_ok=True), 9.0)]
