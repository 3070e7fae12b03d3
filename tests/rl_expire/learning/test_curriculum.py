"""The curriculum rises where the harder half is mastered, and goes back the way it came."""

import json
import math

import pytest

from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, by_key, ladder
from rl_expire.learning.episode import Episode

CONFIG = CurriculumConfig(start=8, growth=1.5, advance_at=0.75, retreat_at=0.5, window=4)


def rising(goal: int) -> Curriculum:
    steps = ladder(CONFIG.start, goal, CONFIG.growth)
    return Curriculum([Level(step, {"max_length": step}) for step in steps], CONFIG)


def seen(curriculum: Curriculum, *successes: float, difficulty: float | None = None) -> str | None:
    hard = curriculum.level if difficulty is None else difficulty
    curriculum.observe((hard, success) for success in successes)
    return curriculum.move()


def test_starts_at_the_start_but_never_beyond_the_goal() -> None:
    assert rising(30).level == 8
    easy = rising(5)
    assert easy.level == 5
    assert easy.at_goal
    assert easy.progress == 1.0


def test_is_not_judged_before_the_window_is_full() -> None:
    curriculum = rising(30)
    assert math.isnan(curriculum.success)
    assert seen(curriculum, 1, 1, 1) is None
    assert not curriculum.measured
    assert seen(curriculum, 1) == "advance"


def test_a_ladder_grows_by_a_factor_rounded_up_from_start_to_goal() -> None:
    assert ladder(4, 13, 1.3) == [4, 6, 8, 11, 13]
    assert ladder(1, 4, 1.01) == [1, 2, 3, 4]
    assert ladder(9, 5, 2.0) == [5]


def test_advances_by_the_growth_rounded_up_and_stops_at_the_goal() -> None:
    curriculum = rising(30)
    levels = []
    for _ in range(5):
        move = seen(curriculum, 1, 1, 1, 0)
        levels.append((move, curriculum.level))
    assert levels == [
        ("advance", 12),
        ("advance", 18),
        ("advance", 27),
        ("advance", 30),
        (None, 30),
    ]


def test_what_was_measured_at_another_level_does_not_count() -> None:
    curriculum = rising(30)
    seen(curriculum, 1, 1, 1, 1)
    assert math.isnan(curriculum.success)
    assert not curriculum.measured


def test_only_the_upper_half_of_the_level_counts() -> None:
    curriculum = rising(30)
    assert seen(curriculum, 1, 1, 1, 1, 1, difficulty=4) is None, "exactly half is the lower half"
    assert seen(curriculum, 1, 1, 1, 1, 1, difficulty=9) is None, "from before a step back"
    assert not curriculum.measured
    assert seen(curriculum, 1, 1, 1, 1, difficulty=4.5) == "advance"


def test_success_is_that_of_the_last_window() -> None:
    curriculum = rising(30)
    curriculum.observe([(8, 0), (8, 0), (8, 1), (8, 1), (8, 0), (8, 1)])
    assert curriculum.success == 0.75


@pytest.mark.parametrize(("successes", "move"), [((1, 1, 0, 0), None), ((1, 0, 0, 0), "retreat")])
def test_steps_back_only_below_the_threshold(successes: tuple[float, ...], move: str) -> None:
    curriculum = rising(30)
    seen(curriculum, 1, 1, 1, 1)
    assert seen(curriculum, *successes) == move
    assert curriculum.level == (12 if move is None else 8)


def test_does_not_step_back_from_what_is_new() -> None:
    curriculum = Curriculum([Level(8, {}), Level(8, {}, new=True), Level(12, {})], CONFIG)
    assert seen(curriculum, 1, 1, 1, 1) == "advance"
    assert seen(curriculum, 0, 0, 0, 0) is None
    assert seen(curriculum, 1, 1, 1, 1) == "advance"
    assert seen(curriculum, 0, 0, 0, 0) == "retreat"


def test_steps_back_along_the_levels_it_passed_and_never_below_the_first() -> None:
    curriculum = rising(30)
    for _ in range(3):
        seen(curriculum, 1, 1, 1, 1)
    levels = []
    for _ in range(4):
        move = seen(curriculum, 0, 0, 0, 0)
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


def test_progress_begins_after_the_last_level_that_asks_for_something_new() -> None:
    told = [(2, True), (8, False), (8, True), (32, False), (128, False)]
    curriculum = Curriculum([Level(d, {}, new=new) for d, new in told], CONFIG)
    shares = []
    for index in range(5):
        curriculum.go_to(index)
        shares.append(curriculum.progress)
    assert shares == pytest.approx([0, 0, 0, 0.5, 1])


def test_levels_may_be_equally_hard_and_differ_in_other_options() -> None:
    curriculum = Curriculum([Level(8, {"num_cues": n}) for n in (1, 2, 3)], CONFIG)
    assert (curriculum.progress, curriculum.at_goal) == (0.0, False)
    assert seen(curriculum, 1, 1, 1, 1) == "advance"
    assert (curriculum.level, curriculum.options) == (8, {"num_cues": 2})
    assert seen(curriculum, 1, 1, 1, 1) == "advance"
    assert (curriculum.progress, curriculum.at_goal) == (1.0, True)


def test_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    curriculum = rising(30)
    seen(curriculum, 1, 1, 1, 1)
    seen(curriculum, 0, 1, 0)
    restored = rising(30)
    restored.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert (restored.level, restored.success) == (12, curriculum.success)
    assert seen(restored, 0) == seen(curriculum, 0) == "retreat"
    assert restored.level == curriculum.level == 8


def test_a_state_is_not_changed_by_what_happens_after_it_was_loaded() -> None:
    curriculum = rising(30)
    state = {"index": 1, "recent": []}
    curriculum.load_state_dict(state)
    assert seen(curriculum, 0, 0, 0, 0) == "retreat"
    assert state == {"index": 1, "recent": []}


def test_episodes_are_read_by_the_key_and_fail_where_nothing_is_said() -> None:
    told = Episode(0, 1.0, 5, {"length": 7.0, "success": 1.0})
    silent = Episode(1, 1.0, 5, {"length": 3.0})
    assert by_key([told, silent], "length", "success") == [(7.0, 1.0), (3.0, 0.0)]
