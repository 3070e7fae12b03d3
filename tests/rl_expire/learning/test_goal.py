"""How near a policy is to its goal: by success, by a threshold, or by its own best."""

import json
import math
from typing import Any

import pytest

from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, Result
from rl_expire.learning.goal import STALLED_STEPS, TOLERANCE, Goal

WINDOW, SOLVED = 10, 0.9


def make_goal(threshold: float | None = None, levels: int = 1) -> Goal:
    curriculum = Curriculum([Level(8, {})] * levels, CurriculumConfig(window=WINDOW))
    return Goal(curriculum, threshold)


def finish(goal: Goal, success: float, total_reward: float, steps: int = 0) -> Goal:
    """Report a full window of episodes, then observe the score."""
    goal.curriculum.observe([Result(8, success, total_reward)] * WINDOW)
    goal.observe(steps)
    return goal


def returning(goal: Goal, total_reward: float, steps: int = 0) -> Goal:
    """Report a full window of episodes of unknown success."""
    return finish(goal, math.nan, total_reward, steps)


def test_nothing_is_known_before_enough_episodes_have_finished() -> None:
    goal = make_goal(threshold=-100.0)
    goal.curriculum.observe([Result(8, 1.0, 100.0)] * (WINDOW - 1))
    goal.observe(1)
    assert (goal.measured, goal.first, goal.best) == (False, None, None)
    assert (goal.reached(0.0), goal.allows(SOLVED), goal.stalled(10**9)) == (False, None, False)


def test_nothing_is_known_below_the_full_task() -> None:
    goal = finish(make_goal(levels=2), 1.0, 1.0)
    assert (goal.measured, goal.first) == (False, None)
    assert (goal.reached(0.5), goal.allows(SOLVED)) == (False, None)
    goal.curriculum.go_to(1)
    finish(goal, 1.0, 1.0)
    assert (goal.reached(0.5), goal.allows(SOLVED)) == (True, True)


@pytest.mark.parametrize(("share", "reached"), [(0.7, True), (0.8, True), (0.81, False)])
def test_known_success_is_compared_with_the_share_whatever_the_return(
    share: float, reached: bool
) -> None:
    for threshold, total_reward in ((None, 0.0), (10.0, 100.0), (10.0, -100.0)):
        goal = finish(make_goal(threshold), 0.8, total_reward)
        assert goal.score == pytest.approx(0.8)
        assert goal.reached(share - 1e-9) == reached


@pytest.mark.parametrize(
    ("threshold", "total_reward", "reached"),
    [
        *((200.0, 181.0, True), (200.0, 179.0, False), (200.0, -181.0, False)),
        *((-200.0, -219.0, True), (-200.0, -221.0, False), (-200.0, 0.0, True)),
        *((0.0, 0.0, True), (0.0, -0.1, False)),
    ],
)
def test_a_return_may_miss_a_share_of_the_thresholds_size(
    threshold: float, total_reward: float, reached: bool
) -> None:
    goal = returning(make_goal(threshold), total_reward)
    assert goal.score == pytest.approx(total_reward)
    assert goal.reached(0.9) == reached


def test_without_success_or_threshold_the_goal_is_never_reached() -> None:
    assert not returning(make_goal(), 1e9).reached(0.0)


@pytest.mark.parametrize(
    ("first", "best", "tolerated"),
    [
        *((20.0, 120.0, 120.0), (110.0, 120.0, 120.0), (-500.0, -100.0, 400.0)),
        *((-50.0, 50.0, 100.0), (-100.0, -100.0, 100.0)),
    ],
)
def test_without_a_known_goal_a_score_near_its_best_allows_a_higher_price(
    first: float, best: float, tolerated: float
) -> None:
    goal = returning(returning(make_goal(), first), best)
    for share, allowed in ((0.0, True), (0.9, True), (1.1, False), (20.0, False)):
        returning(goal, best - share * TOLERANCE * tolerated)
        assert (goal.first, goal.best) == (first, best)
        assert goal.allows(SOLVED) is allowed


@pytest.mark.parametrize(
    ("scores", "allowed"),
    [
        ((0.1, 0.9), True),
        ((0.1, 0.9, 1.0), True),
        ((0.1, 0.8), None),
        ((0.1, 0.8, 0.77), None),
        ((0.1, 0.8, 0.7), False),
        ((0.1, 0.9, 0.85), None),
        ((0.1, 0.9, 0.75), False),
        ((0.1, 0.9, 0.8, 0.9), True),
    ],
    ids=[
        "solved",
        "better",
        "unsolved",
        "about the same",
        "lost",
        "nearly",
        "solved once",
        "solved again",
    ],
)
@pytest.mark.parametrize("told", [True, False], ids=["success", "threshold"])
def test_a_known_goal_allows_a_higher_price_while_it_is_reached(
    scores: tuple[float, ...], allowed: bool | None, *, told: bool
) -> None:
    goal = make_goal(None if told else 1.0)
    for score in scores:
        finish(goal, score if told else math.nan, score)
    assert goal.allows(SOLVED) is allowed


def test_a_score_is_better_only_if_it_gains_a_share_of_all_that_was_gained() -> None:
    goal = make_goal()
    bests = []
    little, enough = (110.0 + share * 100 * TOLERANCE for share in (0.99, 1.01))
    for steps, score in enumerate((10.0, 5.0, 110.0, little, enough, 0.0)):
        returning(goal, score, steps)
        bests.append((goal.best, goal.best_step))
    best = pytest.approx(enough)
    assert bests == [(10.0, 0), (10.0, 0), (110.0, 2), (110.0, 2), (best, 4), (best, 4)]
    assert goal.first == 10.0


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_return_that_is_not_finite_is_no_score(value: float) -> None:
    goal = returning(make_goal(), value)
    assert (goal.first, goal.best) == (None, None)
    assert goal.allows(SOLVED) is None
    assert returning(goal, 3.0).best == 3.0


@pytest.mark.parametrize("threshold", [None, 1000.0])
def test_a_return_has_stalled_once_it_had_grown_and_has_not_for_long(
    threshold: float | None,
) -> None:
    goal = returning(make_goal(threshold), 10.0, 0)
    assert not goal.stalled(10 * STALLED_STEPS), "it has never grown"
    returning(goal, 20.0, 100)
    assert not goal.stalled(100 + STALLED_STEPS - 1)
    assert goal.stalled(100 + STALLED_STEPS)
    returning(goal, 30.0, 200)
    assert not goal.stalled(100 + STALLED_STEPS)


def test_known_success_never_stalls() -> None:
    goal = finish(finish(make_goal(), 0.1, 0.0, 0), 0.5, 0.0, 100)
    assert not goal.stalled(100 * STALLED_STEPS)


def test_a_restored_goal_goes_on_as_the_original_does() -> None:
    goal = returning(returning(make_goal(), 10.0, 5), 50.0, 60)
    again = make_goal()
    again.load_state_dict(json.loads(json.dumps(goal.state_dict())))
    assert again.state_dict() == {"first": 10.0, "best": 50.0, "best_step": 60}
    for one in (goal, again):
        returning(one, 90.0, 70)
    assert again.state_dict() == goal.state_dict()


def test_a_goal_that_measured_nothing_is_restored_too() -> None:
    goal = returning(make_goal(), 10.0)
    goal.load_state_dict(json.loads(json.dumps(make_goal().state_dict())))
    assert (goal.first, goal.best, goal.best_step) == (None, None, 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((name, value) for name in ("first", "best") for value in (math.nan, 3, "x", True, [])),
        *(("best_step", value) for value in (-1, 2**70, 1.0, None)),
    ],
)
def test_a_bad_state_is_refused_in_one_line(key: str, value: Any) -> None:
    goal = make_goal()
    with pytest.raises(ValueError, match=f"schedule/goal/{key} is ") as caught:
        goal.load_state_dict(goal.state_dict() | {key: value})
    assert len(str(caught.value).splitlines()) == 1
    assert goal.state_dict() == make_goal().state_dict(), "nothing is half loaded"


@pytest.mark.parametrize("state", [None, [], {}, {"first": 1.0, "more": 2}])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="schedule/goal"):
        make_goal().load_state_dict(state)
