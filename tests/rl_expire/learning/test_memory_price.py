"""The price of memory: when it rises and falls, and when memory is ready and has settled."""

import json
import math
from typing import Any

import pytest

from rl_expire.learning.memory_price import (
    DOUBLING_STEPS,
    FEWEST_CHOICES,
    HIGHEST,
    MISSED,
    MOST_CHOICES,
    NOTICED,
    QUIET_STEPS,
    SETTLED_STEPS,
    SHORTER,
    SLIGHTLY_SHORTER,
    MemoryPrice,
    MemoryUse,
)

MANY = 1000.0
"""How many times over the score is renewed by an update with many episodes."""


def after(
    *good: bool | None, taken: int = DOUBLING_STEPS, renewed: float = MANY, missed: float = 0.0
) -> float:
    """Return the price after updates of `taken` steps each."""
    price, use = MemoryPrice(), MemoryUse(2.0, missed, 1.0)
    for n, judgement in enumerate(good):
        price.observe(taken, (n + 1) * taken, renewed, good=judgement, use=use)
    return price.factor


def test_the_price_doubles_while_the_score_is_good_and_halves_while_it_is_not() -> None:
    assert after() == 1.0
    assert after(True) == 2.0
    assert after(True, True, True) == 8.0
    assert after(True, True, True, False) == 4.0


def test_many_small_updates_change_the_price_as_much_as_a_large_one() -> None:
    assert after(*[True] * 100, taken=DOUBLING_STEPS // 50) == pytest.approx(4.0)


@pytest.mark.parametrize("parts", [1, 2, 64])
def test_where_few_episodes_finish_the_price_doubles_or_halves_with_their_number(
    parts: int,
) -> None:
    part = 1 / parts
    assert after(*[True] * parts, renewed=part, taken=10**6) == pytest.approx(2.0)
    up = [True] * (3 * parts)
    assert after(*up, *[False] * parts, renewed=part, taken=10**6) == pytest.approx(4.0)
    assert after(*up, renewed=0.0) == 1.0
    assert after(*[True] * 3, renewed=1.1) == 8.0, "never faster than the steps"


def test_the_price_falls_while_memories_are_missed_although_the_score_is_good() -> None:
    assert after(True, True, True, missed=0.9 * NOTICED) == 8.0
    assert after(True, True, True, missed=0.9 * MISSED) == 2.0, "it stays where each is felt"
    assert after(True, missed=1.1 * MISSED) == 2.0, "the update itself does not count yet"
    assert after(True, True, missed=1.1 * MISSED) == 1.0
    assert after(True, None, None, missed=1.1 * MISSED) == 2.0


def test_the_price_stays_while_the_score_is_unknown() -> None:
    assert after(None, None) == 1.0
    assert after(True, True, None, None) == 4.0


def test_the_price_stays_within_its_bounds_and_leaves_them_at_once() -> None:
    assert after(False, False) == 1.0
    assert after(False, False, True) == 2.0
    most = round(math.log2(HIGHEST))
    assert after(*[True] * most) == HIGHEST
    assert after(*[True] * (most + 5)) == HIGHEST
    assert after(*[True] * (most + 5), False) == HIGHEST / 2


def test_what_metrics_say_of_memory_is_read_and_what_they_lack_is_unknown() -> None:
    metrics = {"span_penalty": 3.5, "missed": 0.2, "choices": 40.0, "kept/0": 9.0}
    assert MemoryUse.of(metrics) == (3.5, 0.2, 40.0)
    for missing in ("span_penalty", "missed", "choices"):
        use = MemoryUse.of({k: v for k, v in metrics.items() if k != missing})
        assert math.isnan(use.length) == (missing == "span_penalty")
        assert use.missed == (0.0 if missing == "missed" else 0.2)
        assert use.choices == (0.0 if missing == "choices" else 40.0)
    assert repr(MemoryUse.of({"policy_loss": 1.0})) == repr(MemoryUse())
    assert repr(MemoryUse()) == "MemoryUse(length=nan, missed=0.0, choices=0.0)"


def observe(
    price: MemoryPrice,
    steps: int,
    length: float,
    *,
    good: bool | None = None,
    taken: int = 100,
    missed: float = 0.0,
    choices: float = FEWEST_CHOICES,
    renewed: float = MANY,
) -> bool:
    """Report what an update found out, and return whether the level may be left."""
    price.observe(taken, steps, renewed, good=good, use=MemoryUse(length, missed, choices))
    return price.ready(steps)


def test_a_level_may_be_left_once_lifetimes_have_not_become_shorter_for_a_while() -> None:
    price = MemoryPrice()
    assert not observe(price, 1000, 4.0)
    assert not price.ready(1000 + QUIET_STEPS - 1)
    assert price.ready(1000 + QUIET_STEPS)
    assert not observe(price, 1000 + QUIET_STEPS, 3.0), "they have just become shorter"
    assert price.ready(1000 + 2 * QUIET_STEPS)


@pytest.mark.parametrize(
    ("updates", "ready"),
    [
        ([], False),
        ([(0.0, FEWEST_CHOICES - 1)], False),
        ([(0.0, FEWEST_CHOICES)], True),
        ([(0.0, 1)] * (FEWEST_CHOICES - 1), False),
        ([(0.0, 1)] * FEWEST_CHOICES, True),
        ([(0.9 * MISSED, 100)], True),
        ([(1.1 * MISSED, 100)], False),
        ([(3 * MISSED, 20), (0.0, 80)], True),
        ([(3 * MISSED, 40), (0.0, 60)], False),
        ([(9.0, 0), (0.0, 100)], True),
    ],
)
def test_a_level_may_be_left_only_if_enough_choices_show_that_hardly_anything_is_missed(
    updates: list[tuple[float, float]], ready: bool
) -> None:
    price = MemoryPrice()
    for missed, choices in updates:
        observe(price, 0, 4.0, missed=missed, choices=choices)
    assert price.ready(QUIET_STEPS) == ready
    assert not price.ready(QUIET_STEPS - 1)
    enough = sum(choices for _, choices in updates) >= FEWEST_CHOICES
    assert price.missing == (enough and not ready)


def test_what_was_missed_is_a_mean_over_recent_choices_that_forgets_the_oldest() -> None:
    """The naive reference keeps the sum and count, and shrinks both to the most choices."""
    price, total, count = MemoryPrice(), 0.0, 0.0
    for n, (missed, choices) in enumerate([(1.0, 100), (0.3, 0), (0.0, 300), (0.5, 40), (0.0, 9)]):
        observe(price, n, 4.0, missed=missed, choices=choices)
        total, count = total + missed * choices, count + choices
        if count > MOST_CHOICES:
            total, count = total * MOST_CHOICES / count, MOST_CHOICES
        assert price.choices == pytest.approx(count)
        assert price.missed == pytest.approx(total)
    assert 0.0 < price.missed / price.choices < 0.5


def test_after_memories_that_were_missed_a_level_may_be_left_once_they_no_longer_are() -> None:
    price = MemoryPrice()
    observe(price, 0, 4.0, missed=1.0, choices=10 * MOST_CHOICES)
    updates = 0
    while not price.ready(QUIET_STEPS):
        observe(price, updates, 4.0, choices=MOST_CHOICES)
        updates += 1
    assert updates == 4, "each halves the mean, and 1 / 16 is the first below 0.1"


def settles(*updates: tuple[int, bool | None, float], **options: Any) -> bool:
    """Return whether memory has settled after updates: steps taken, score, lifetimes."""
    price, steps = MemoryPrice(), 0
    observe(price, 0, 4.0, good=True, taken=0, **options)
    for taken, good, length in updates:
        steps += taken
        observe(price, steps, length, good=good, taken=taken, **options)
    return price.settled


def test_memory_has_settled_after_enough_steps_at_a_good_score_without_shorter_lifetimes() -> None:
    most = SETTLED_STEPS - 1
    assert not settles()
    assert not settles((most, True, 4.0))
    assert settles((most, True, 4.0), (1, True, 4.0))
    assert settles((most, True, 4.0), (10**6, False, 4.0), (1, True, 4.0)), "they add up"
    assert not settles((most, True, 4.0), (1, True, 3.0), (1, True, 3.0)), "they became shorter"
    assert settles((most, True, 4.0), (1, True, 3.0), (SETTLED_STEPS, True, 3.0))


@pytest.mark.parametrize("good", [False, None])
def test_steps_at_a_score_that_is_not_known_to_be_good_do_not_settle_memory(
    good: bool | None,
) -> None:
    assert not settles((10 * SETTLED_STEPS, good, 4.0))
    assert not settles((SETTLED_STEPS - 1, True, 4.0), (10 * SETTLED_STEPS, good, 4.0))


def test_steps_count_towards_settling_as_far_as_episodes_finish_and_nothing_is_missed() -> None:
    update = (SETTLED_STEPS, True, 4.0)
    enough = SETTLED_STEPS / DOUBLING_STEPS
    assert settles(update, renewed=enough)
    assert not settles(update, renewed=0.99 * enough)
    assert settles(update, update, renewed=0.99 * enough)
    assert not settles(*[update] * 9, renewed=0.0)
    assert settles(update, missed=0.9 * MISSED)
    assert not settles(*[update] * 9, missed=1.1 * MISSED)


def test_an_unknown_length_is_never_the_shortest() -> None:
    for known in (False, True):
        price = MemoryPrice()
        if known:
            observe(price, 1000, 4.0)
        least = price.least_length, price.least_step
        observe(price, 2000, math.nan, good=True, taken=DOUBLING_STEPS, missed=0.5)
        assert (price.least_length, price.least_step) == least
        assert price.good_steps == DOUBLING_STEPS
        assert price.factor == 2.0
        assert price.missed == 0.5 * FEWEST_CHOICES
    without = MemoryPrice()
    without.observe(100, 100, 1, good=None, use=MemoryUse())
    assert without.state_dict() == MemoryPrice().state_dict(), "an update that tells nothing"


def test_a_price_at_which_the_full_task_was_lost_is_not_asked_for_again() -> None:
    price = MemoryPrice()
    for factor, most in ((16.0, 4.0), (4.0, 1.0)):
        for _ in range(5):
            observe(price, 0, 4.0, good=True, taken=DOUBLING_STEPS)
        assert price.factor == factor
        price.begin_level(5000)
        assert (price.factor, price.most) == (1.0, most)
        again = MemoryPrice()
        again.load_state_dict(json.loads(json.dumps(price.state_dict())))
        assert again.state_dict() == price.state_dict()
    price.begin_level(6000)
    assert price.most == 1.0, "the lowest price loses nothing"


def test_at_another_level_memory_is_measured_anew() -> None:
    price = MemoryPrice()
    observe(price, 900, 4.0)
    observe(price, 1000, 4.0, missed=1.0, choices=MOST_CHOICES)
    price.begin_level(5000)
    assert price.state_dict() == MemoryPrice().state_dict() | {"least_step": 5000}
    assert not price.ready(5000 + QUIET_STEPS), "nothing is known of what is missed"
    observe(price, 5001, 6.0)
    assert (price.least_length, price.least_step) == (6.0, 5001), "a level may need more"
    assert not price.ready(5000 + QUIET_STEPS)
    assert price.ready(5001 + QUIET_STEPS)


@pytest.mark.parametrize(
    ("change", "shorter"), [(-SHORTER + 0.01, False), (-SHORTER - 0.01, True), (3.0, False)]
)
def test_only_lifetimes_that_are_clearly_shorter_count(change: float, shorter: bool) -> None:
    price = MemoryPrice()
    observe(price, 0, 4.0)
    observe(price, 500, 4.0 + change, good=True, taken=500)
    expected = (4.0 + change, 500) if shorter else (4.0, 0)
    assert (price.least_length, price.least_step) == expected


@pytest.mark.parametrize(
    ("change", "shorter"),
    [(-SLIGHTLY_SHORTER + 0.01, False), (-SLIGHTLY_SHORTER - 0.01, True), (3.0, False)],
)
def test_for_the_end_smaller_differences_count(change: float, shorter: bool) -> None:
    price = MemoryPrice()
    observe(price, 0, 1.0)
    observe(price, 0, 4.0, good=True, taken=0)
    observe(price, 500, 4.0 + change, good=True, taken=500)
    expected = (4.0 + change, 0) if shorter else (4.0, 500)
    assert (price.settled_length, price.good_steps) == expected


def test_many_small_decreases_count_as_much_as_a_large_one() -> None:
    price = MemoryPrice()
    for n in range(6):
        observe(price, n * 1000, 4.0 - 0.3 * SHORTER * n)
    assert price.least_step == 4000, "1.2 is the first multiple above 1"


def test_a_restored_price_goes_on_as_the_original_does() -> None:
    price, again = MemoryPrice(), MemoryPrice()
    observe(price, 400, 2.5, missed=0.3)
    observe(price, 450, 2.45, choices=MOST_CHOICES)
    observe(price, 500, 2.45, good=True, taken=DOUBLING_STEPS)
    again.load_state_dict(json.loads(json.dumps(price.state_dict())))
    assert again.state_dict() == price.state_dict()
    for one in (price, again):
        observe(one, 900, 2.45, good=True, taken=DOUBLING_STEPS // 2, missed=0.1)
    assert again.state_dict() == price.state_dict()
    assert (again.least_length, again.least_step) == (2.5, 400)
    assert (again.settled_length, again.good_steps) == (2.45, DOUBLING_STEPS // 2)
    assert again.choices == MOST_CHOICES


def test_a_price_that_observed_nothing_is_restored_too() -> None:
    again = MemoryPrice()
    again.load_state_dict(MemoryPrice().state_dict())
    assert again.state_dict() == MemoryPrice().state_dict()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("factor", value) for value in (0.5, 2 * HIGHEST, math.nan, None, 2, "2")),
        *(("least_length", value) for value in (-1.0, math.nan, None, 3)),
        *(("least_step", value) for value in (-1, 2**70, 1.0, None)),
        *(("good_steps", value) for value in (-1.0, math.nan, None, 3)),
        *(("missed", value) for value in (-1.0, math.nan, None, 3)),
        *(("choices", value) for value in (-1.0, math.nan, None, 3)),
    ],
)
def test_a_bad_state_is_refused_in_one_line(key: str, value: Any) -> None:
    price = MemoryPrice()
    with pytest.raises(ValueError, match=f"schedule/price/{key} is ") as caught:
        price.load_state_dict(price.state_dict() | {key: value})
    assert len(str(caught.value).splitlines()) == 1
    assert price.state_dict() == MemoryPrice().state_dict(), "nothing is half loaded"


@pytest.mark.parametrize("state", [None, [], {}, {"factor": 1.0, "more": 2}])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="schedule/price"):
        MemoryPrice().load_state_dict(state)


@pytest.mark.parametrize("key", MemoryPrice().state_dict())
def test_a_state_that_lacks_something_is_refused(key: str) -> None:
    state = MemoryPrice().state_dict()
    del state[key]
    with pytest.raises(ValueError, match=f"schedule/price lacks {key}"):
        MemoryPrice().load_state_dict(state)
