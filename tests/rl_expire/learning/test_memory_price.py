"""The price of memory: when it rises and falls, and when memory has settled."""

import json
import math
from typing import Any

import pytest

from rl_expire.learning.memory_price import (
    DOUBLING_STEPS,
    HIGHEST,
    QUIET_STEPS,
    SETTLED_STEPS,
    SMALLER,
    MemoryPrice,
)


def after(*good: bool | None, taken: int = DOUBLING_STEPS) -> float:
    """Return the price after updates of `taken` steps each."""
    price = MemoryPrice()
    for n, judgement in enumerate(good):
        price.observe(taken, (n + 1) * taken, good=judgement, held=10.0)
    return price.factor


def test_the_price_doubles_while_the_score_is_good_and_halves_while_it_is_not() -> None:
    assert after() == 1.0
    assert after(True) == 2.0
    assert after(True, True, True) == 8.0
    assert after(True, True, True, False) == 4.0


def test_many_small_updates_change_the_price_as_much_as_a_large_one() -> None:
    assert after(*[True] * 100, taken=DOUBLING_STEPS // 50) == pytest.approx(4.0)


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


def observe(price: MemoryPrice, steps: int, held: float) -> bool:
    """Report a number of memories held, and return whether memory has settled."""
    price.observe(100, steps, good=None, held=held)
    return price.settled(steps)


def test_memory_has_settled_once_it_has_not_become_smaller_for_long() -> None:
    price = MemoryPrice()
    assert not observe(price, 1000, 20.0)
    assert not observe(price, 1000 + SETTLED_STEPS - 1, 20.0)
    assert observe(price, 1000 + SETTLED_STEPS, 20.0)


def test_memory_is_quiet_sooner_than_it_has_settled() -> None:
    price = MemoryPrice()
    observe(price, 1000, 20.0)
    assert QUIET_STEPS < SETTLED_STEPS
    assert not price.quiet(1000 + QUIET_STEPS - 1)
    assert price.quiet(1000 + QUIET_STEPS)
    assert not price.settled(1000 + QUIET_STEPS)


def test_at_another_level_memory_is_measured_anew_and_the_price_stays() -> None:
    price = MemoryPrice()
    price.observe(DOUBLING_STEPS, 1000, good=True, held=20.0)
    price.begin_level(5000)
    assert price.factor == 2.0
    assert not price.quiet(5000 + QUIET_STEPS - 1)
    observe(price, 5001, 80.0)
    assert (price.least_held, price.least_step) == (80.0, 5001), "a level may need more"


@pytest.mark.parametrize(
    ("share", "settled"), [(SMALLER - 0.01, False), (SMALLER + 0.01, True), (3.0, True)]
)
def test_only_a_memory_that_is_clearly_smaller_counts(share: float, settled: bool) -> None:
    price = MemoryPrice()
    observe(price, 0, 20.0)
    observe(price, SETTLED_STEPS - 1, 20.0 * share)
    assert price.settled(SETTLED_STEPS) == settled


def test_many_small_decreases_count_as_much_as_a_large_one() -> None:
    price = MemoryPrice()
    observe(price, 0, 20.0)
    for n in range(1, 11):
        observe(price, n * 1000, 20.0 * 0.99**n)
    assert price.least_step == 8000, "0.99 ** 8 is the first to be below 0.93"


def test_a_restored_price_goes_on_as_the_original_does() -> None:
    price, again = MemoryPrice(), MemoryPrice()
    price.observe(DOUBLING_STEPS, 500, good=True, held=12.5)
    again.load_state_dict(json.loads(json.dumps(price.state_dict())))
    for one in (price, again):
        one.observe(DOUBLING_STEPS // 2, 900, good=True, held=12.0)
    assert again.state_dict() == price.state_dict()
    assert (again.least_held, again.least_step) == (12.5, 500)


def test_a_price_that_observed_nothing_is_restored_too() -> None:
    again = MemoryPrice()
    again.load_state_dict(MemoryPrice().state_dict())
    assert again.state_dict() == MemoryPrice().state_dict()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("factor", value) for value in (0.5, 2 * HIGHEST, math.nan, None, 2, "2")),
        *(("least_held", value) for value in (-1.0, math.nan, None, 3)),
        *(("least_step", value) for value in (-1, 2**70, 1.0, None)),
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
