"""The schedule: when lifetimes learn, when levels may be left, and when memory has settled."""

import pytest

from rl_expire.learning.curriculum import Result, ladder
from rl_expire.learning.goal import STALLED_STEPS
from rl_expire.learning.memory_price import (
    DOUBLING_STEPS,
    FEWEST_CHOICES,
    MISSED,
    QUIET_STEPS,
    RETREAT,
    SETTLED_STEPS,
)
from rl_expire.learning.schedule import SPAN_RATE_OF_ONE_LEVEL
from tests.rl_expire.learning.schedules import (
    GOAL,
    LARGE,
    WINDOW,
    at_fourth_level,
    forgetting,
    make_schedule,
    many,
    results,
    returns,
    settling,
    use,
)


def test_where_memory_is_learned_a_solved_task_settles_once_memory_has() -> None:
    schedule = forgetting(total_steps=LARGE)
    settled = 200 + SETTLED_STEPS
    schedule.observe(settled - 1, many(GOAL, 10), use())
    assert (schedule.phase, schedule.solved_step) == ("learn", 100)
    schedule.observe(settled, many(GOAL, 10), use())
    assert (schedule.phase, schedule.remaining_steps) == ("settle", 50)
    schedule.observe(settled + 50, [], use())
    assert (schedule.phase, schedule.remaining_steps) == ("end", 0)


def test_lifetimes_that_become_shorter_are_learned_further() -> None:
    schedule = forgetting(total_steps=LARGE)
    for steps in (SETTLED_STEPS, 200 + SETTLED_STEPS, 2 * SETTLED_STEPS - 1):
        schedule.observe(steps, many(GOAL, 10), use(2.0))
        assert schedule.phase == "learn"
    schedule.observe(2 * SETTLED_STEPS, many(GOAL, 10), use(2.0))
    assert schedule.phase == "settle"


def test_steps_at_a_score_below_the_goal_do_not_settle_memory() -> None:
    schedule = forgetting(total_steps=LARGE)
    schedule.observe(10 * SETTLED_STEPS, many(GOAL, 8), use())
    schedule.observe(10 * SETTLED_STEPS + 1, many(GOAL, 10), use())
    assert (schedule.phase, schedule.solved()) == ("learn", True)
    schedule.observe(11 * SETTLED_STEPS + 1, many(GOAL, 10), use())
    assert schedule.phase == "settle"


def test_updates_without_episodes_do_not_settle_memory() -> None:
    schedule = forgetting(total_steps=LARGE)
    schedule.observe(10 * SETTLED_STEPS, [], use())
    assert schedule.phase == "learn"
    easier = [Result(GOAL / 2, 1.0, 0.0)] * 1000
    schedule.observe(20 * SETTLED_STEPS, easier, use())
    assert schedule.phase == "learn", "nor do episodes of the easier half"
    schedule.observe(30 * SETTLED_STEPS, many(GOAL, 10), use())
    assert schedule.phase == "settle"


def test_a_memory_that_has_settled_does_not_end_the_learning_of_an_unsolved_task() -> None:
    schedule = forgetting(total_steps=LARGE)
    schedule.price.good_steps = 2.0 * SETTLED_STEPS
    schedule.observe(200, many(GOAL, 8), use())
    assert schedule.price.settled
    assert schedule.phase == "learn"
    schedule.observe(300, many(GOAL, 9), use())
    assert schedule.phase == "settle"


@pytest.mark.parametrize(("start", "phase"), [(GOAL, "settle"), (16, "learn")])
def test_a_task_of_several_levels_settles_only_once_it_is_known_that_nothing_is_missed(
    start: int, phase: str
) -> None:
    schedule = make_schedule(start=start, total_steps=LARGE)
    schedule.observe(50, results(start, 10))
    for steps in (1000, 1000 + 2 * SETTLED_STEPS):
        schedule.observe(steps, many(GOAL, 10), use(choices=FEWEST_CHOICES / 2 - 1))
    assert schedule.price.settled
    assert schedule.phase == phase
    schedule.observe(1001 + 2 * SETTLED_STEPS, many(GOAL, 10), use(choices=2))
    assert schedule.phase == "settle"


@pytest.mark.parametrize(("mastered", "forgets"), [(0, False), (2, False), (3, True), (4, True)])
def test_lifetimes_begin_to_learn_after_three_mastered_levels(mastered: int, forgets: bool) -> None:
    schedule = make_schedule(start=1, total_steps=LARGE)  # levels 1, 2, 4, 8, 16 and 32
    for n in range(mastered):
        schedule.observe(2 * QUIET_STEPS * n + 1, [], use())
        assert schedule.observe(2 * QUIET_STEPS * (n + 1), results(2**n, 10), use()) == "advance"
    schedule.observe(2 * QUIET_STEPS * mastered + 100, results(2**mastered, 6), use())
    assert schedule.forgetting == forgets
    assert schedule.plan().span_rate == float(forgets)


def test_while_forgetting_a_level_is_left_only_once_memory_is_quiet() -> None:
    schedule = at_fourth_level()
    moves = []
    for steps, length in [
        *((100, 4.0), (QUIET_STEPS - 1, 3.0), (QUIET_STEPS + 4, 3.0)),
        *((2 * QUIET_STEPS - 2, 3.0), (2 * QUIET_STEPS - 1, 3.0)),
    ]:
        moves.append(schedule.observe(steps, results(8, 10), use(length)))
    assert moves == [None, None, None, None, "advance"]
    assert schedule.observe(2 * QUIET_STEPS, results(16, 10), use(5.0)) is None
    assert schedule.observe(3 * QUIET_STEPS, results(16, 10), use(5.0)) == "advance"


def test_while_forgetting_a_level_is_left_only_once_hardly_anything_is_missed() -> None:
    schedule = at_fourth_level()
    moves = []
    for n, missed in enumerate((10 * MISSED, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)):
        steps = (n + 1) * QUIET_STEPS + 4
        before = schedule.price.ready(steps)
        moves.append(schedule.observe(steps, results(8, 9 if n == 0 else 10), use(4.0, missed)))
        assert (moves[-1] == "advance") == (before and n > 0)
        if moves[-1] == "advance":
            break
    assert set(moves[:3]) == {None}
    assert moves[-1] == "advance"


def test_while_forgetting_a_level_is_left_only_once_there_were_enough_choices() -> None:
    schedule = at_fourth_level()
    schedule.price.choices = FEWEST_CHOICES - 2.0
    steps, moves = QUIET_STEPS + 4, []
    for n in range(3):
        moves.append(schedule.observe(steps + n, results(8, 10), use(4.0, choices=1)))
    assert moves == [None, None, "advance"], "the choices of an update count in the next one"


def test_memory_at_the_level_that_is_left_does_not_count_at_the_next_one() -> None:
    schedule = at_fourth_level()
    assert schedule.observe(QUIET_STEPS + 4, results(8, 10), use(3.0)) == "advance"
    schedule.observe(QUIET_STEPS + 100, [], use(6.0, 0.01, 50.0))
    price = schedule.price
    assert (price.least_length, price.least_step) == (6.0, QUIET_STEPS + 100)
    assert (price.missed, price.choices) == (0.5, 50.0)


def test_while_forgetting_a_level_that_is_lost_is_left_at_once() -> None:
    schedule = at_fourth_level()
    assert schedule.observe(100, results(8, 0), use(3.0)) == "retreat"


def test_an_update_that_tells_nothing_of_memory_is_observed_too() -> None:
    schedule = at_fourth_level()
    before = schedule.price.state_dict()
    schedule.observe(100, results(8, 9))
    assert schedule.price.state_dict() == before


@pytest.mark.parametrize("method", ["joint", "never"])
def test_without_forgetting_memory_need_not_be_quiet(method: str) -> None:
    schedule = make_schedule(start=1, method=method)
    for n in range(5):
        assert schedule.observe(n + 1, results(2**n, 10), use(4.0 - 0.5 * n)) == "advance"


def test_memory_of_a_lesson_does_not_count_at_the_full_task() -> None:
    """Lifetimes are shorter there, since episodes are."""
    schedule = make_schedule(start=16, total_steps=LARGE)
    schedule.observe(50, results(16, 10), use(1.0))
    for steps in (1000, SETTLED_STEPS, SETTLED_STEPS + 999):
        schedule.observe(steps, many(GOAL, 10), use(4.0))
        assert schedule.phase == "learn"
    assert (schedule.price.least_length, schedule.price.least_step) == (4.0, 1000)
    schedule.observe(SETTLED_STEPS + 1000, many(GOAL, 10), use(4.0))
    assert schedule.phase == "settle"


@pytest.mark.parametrize(("start", "mastered"), [(16, 1), (8, 2)])
def test_with_few_levels_lifetimes_begin_to_learn_at_the_full_task(
    start: int, mastered: int
) -> None:
    schedule = make_schedule(start=start)
    began = []
    for n in range(mastered + 1):
        began.append(schedule.forgetting)
        schedule.observe(100 * (n + 1), results(start * 2**n, 10))
    assert began == [False] * mastered + [True]


@pytest.mark.parametrize(("successes", "forgets"), [(6, False), (7, True), (10, True)])
def test_in_a_task_of_one_level_lifetimes_begin_to_learn_near_the_goal(
    successes: int, forgets: bool
) -> None:
    schedule = make_schedule()
    schedule.observe(100, results(GOAL, successes))
    assert schedule.forgetting == forgets


@pytest.mark.parametrize(
    ("threshold", "near", "far"), [(100.0, 71.0, 69.0), (-100.0, -129.0, -131.0)]
)
def test_near_the_goal_is_a_share_of_the_threshold_where_success_is_unknown(
    threshold: float, near: float, far: float
) -> None:
    schedule = make_schedule(reward_threshold=threshold)
    schedule.observe(100, returns(far))
    assert not schedule.forgetting
    schedule.observe(200, returns(near))
    assert schedule.forgetting


def test_without_a_known_goal_lifetimes_begin_to_learn_once_the_return_has_stalled() -> None:
    schedule = make_schedule(total_steps=LARGE)
    for steps, value in ((100, 5.0), (200, 50.0), (200 + STALLED_STEPS - 1, 50.0)):
        schedule.observe(steps, returns(value))
        assert not schedule.forgetting
    schedule.observe(200 + STALLED_STEPS, returns(50.0))
    assert schedule.forgetting
    assert schedule.phase == "learn"


def test_lifetimes_go_on_learning_after_a_collapse() -> None:
    schedule = make_schedule(start=16)
    schedule.observe(50, results(16, 10))
    assert schedule.observe(100, results(GOAL, 2)) == "retreat"
    assert (schedule.curriculum.level, schedule.forgetting) == (16, True)
    assert schedule.plan().span_rate == 1.0
    single = forgetting(total_steps=LARGE)
    single.observe(300, results(GOAL, 0))
    assert single.plan().span_rate == SPAN_RATE_OF_ONE_LEVEL


@pytest.mark.parametrize("method", ["joint", "never"])
@pytest.mark.parametrize("start", [GOAL, 1])
def test_other_methods_never_forget(method: str, start: int) -> None:
    schedule = make_schedule(start=start, method=method)
    plans = []
    for n, level in enumerate((*ladder(start, GOAL, 2.0), GOAL, GOAL)):
        schedule.observe(100 * n, results(level, 10), use())
        plans.append(schedule.plan())
    schedule.observe(10_000, results(GOAL, 10), use())
    assert schedule.curriculum.at_goal
    assert not schedule.forgetting
    plans.append(schedule.plan())
    for plan in plans:
        assert (plan.span_rate, plan.price) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("best", "expected"),
    [(10, [2.0, 4.0, 4.0, 8.0, 4.0, 2.0]), (8, [1.0] * 6)],
    ids=["solved", "not yet solved"],
)
def test_the_price_rises_while_the_task_is_solved_and_falls_once_it_no_longer_is(
    best: int, expected: list[float]
) -> None:
    schedule = make_schedule(total_steps=LARGE)
    prices, steps = [], 100
    schedule.observe(steps, results(GOAL, best))
    for n, lost in enumerate((0, 0, 2, 0, 3, 8)):
        steps += DOUBLING_STEPS
        schedule.observe(steps, many(GOAL, best - lost), use(20.0 - n))
        prices.append(schedule.plan().price)
    assert schedule.phase == "learn"
    assert prices == pytest.approx(expected)


def test_the_price_falls_while_memories_are_missed_and_follows_the_episodes() -> None:
    schedule = make_schedule(total_steps=LARGE)
    prices, steps = [], 100
    schedule.observe(steps, results(GOAL, 10))
    for n, missed in enumerate((0.0, 0.0, 10 * MISSED, 0.0, 0.0)):
        steps += DOUBLING_STEPS
        schedule.observe(steps, many(GOAL, 10), use(20.0 - n, missed))
        prices.append(schedule.plan().price)
    assert prices == pytest.approx([2.0, 4.0, 8.0, 4.0, 2.0]), "from the next update on"
    schedule.price.factor = 1.0
    schedule.price.begin_level(steps)
    half = WINDOW // 2
    schedule.observe(steps + DOUBLING_STEPS, results(GOAL, half, half), use())
    assert schedule.plan().price == pytest.approx(2**0.5), "a whole window would double it"


def test_the_price_stays_below_the_full_task_and_until_its_score_is_known() -> None:
    schedule = make_schedule(start=1, total_steps=LARGE)
    for n in range(4):
        schedule.observe(n + 1, many(2**n, 10), use())
    assert (schedule.forgetting, schedule.curriculum.at_goal) == (True, False)
    assert schedule.observe(DOUBLING_STEPS, many(8, 10), use()) == "advance"
    schedule.observe(2 * DOUBLING_STEPS, many(16, 9), use())
    assert schedule.plan().price == 1.0
    assert schedule.observe(3 * DOUBLING_STEPS, many(16, 10), use()) == "advance"
    schedule.observe(4 * DOUBLING_STEPS, results(GOAL, 9, count=WINDOW - 1), use())
    assert (schedule.curriculum.at_goal, schedule.plan().price) == (True, 1.0)
    schedule.observe(5 * DOUBLING_STEPS, many(GOAL, 9), use())
    assert schedule.plan().price == pytest.approx(2.0)


def test_without_a_known_goal_the_price_rises_while_what_was_gained_is_kept() -> None:
    schedule = make_schedule(total_steps=LARGE)
    for steps, value in ((100, 0.0), (200, 100.0), (200 + STALLED_STEPS, 100.0)):
        schedule.observe(steps, returns(value), use())
    prices, steps = [], schedule.steps
    for value in (96.0, 96.0, 94.0):  # it may lose 5 % of what was gained
        steps += DOUBLING_STEPS
        schedule.observe(steps, 20 * returns(value), use())
        prices.append(schedule.plan().price)
    assert prices == pytest.approx([2.0, 4.0, 2.0])


def test_lifetimes_do_not_learn_while_settling_and_the_price_is_not_forgotten() -> None:
    schedule = settling()
    schedule.price.factor = 8.0
    state = schedule.price.state_dict()
    schedule.observe(340, many(GOAL, 0), use(1.0))
    assert (schedule.phase, schedule.plan().span_rate) == ("settle", 0.0)
    assert schedule.price.state_dict() == state


def test_a_task_that_is_lost_while_settling_is_learned_further_at_a_lower_price() -> None:
    schedule = settling()
    schedule.price.factor = 8.0
    schedule.observe(350, many(GOAL, 8), use(1.0))
    assert (schedule.phase, schedule.plan().price) == ("learn", 1.0)
    assert schedule.price.most == 8.0 / RETREAT
    assert schedule.price.good_steps == 0.0
    schedule.observe(360, many(GOAL, 10), use(1.0))
    assert schedule.phase == "learn", "memory has to settle again"
