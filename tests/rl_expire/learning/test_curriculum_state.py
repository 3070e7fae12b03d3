"""The curriculum: what is saved, and what is refused."""

import json
import math
from typing import Any

import pytest

from rl_expire.learning.curriculum import (
    STATE,
    Result,
)
from tests.rl_expire.learning.curricula import (
    AT_ONCE,
    SLOWLY,
    curriculum_to,
    finish,
    long_curriculum,
)


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
    state |= {"recent": [0.0], "returns": [2.0], "lengths": [7], "easier": []}
    before = json.dumps(state)
    curriculum.load_state_dict(state)
    assert curriculum.mean_return == 2.0
    assert finish(curriculum, 0, 0, 0, 0) == "retreat"
    assert json.dumps(state) == before


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
    ("lengths", [5], "curriculum/lengths is not a list of length 2"),
    ("returns", [1.0, 2.0, 3.0], "curriculum/returns is not a list of length 2"),
]


@pytest.mark.parametrize(("key", "value", "problem"), BAD)
def test_a_bad_state_is_refused_in_one_line(key: str, value: Any, problem: str) -> None:
    curriculum = curriculum_to(30)
    good: dict[str, Any] = {"index": 2, "passed": [0, 1], "stride": 1, "at_once": True}
    good |= {"recent": [1.0, 0.0], "returns": [1.0, 0.0], "lengths": [3, 4], "easier": [0.5]}
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
