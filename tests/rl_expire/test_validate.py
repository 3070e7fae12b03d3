"""Checks of options and of data read from a file."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch

from rl_expire.validate import OptionError, check_fit, check_number, check_range, options_from_json


@dataclass
class Options:
    """Options with a number that may be missing."""

    x: float | None = 0.5


@pytest.mark.parametrize(
    ("value", "bounds", "remedy"),
    [
        (0, {"least": 1}, "1 or more"),
        (0.0, {"above": 0}, "a number above 0"),
        (2.0, {"above": 0, "most": 1}, "a number above 0 and at most 1"),
        (1.0, {"above": 0, "below": 1}, "a number above 0 and below 1"),
        (math.inf, {"above": 0, "below": math.inf}, "a number above 0"),
        (2.0, {"least": 0, "most": 1}, "a number from 0 to 1"),
        (1.0, {"least": 0, "below": 1}, "a number from 0, below 1"),
        (math.nan, {"least": 0}, "0 or more"),
    ],
)
def test_a_number_out_of_range_is_reported_with_field_and_remedy(
    value: float, bounds: dict[str, float], remedy: str
) -> None:
    with pytest.raises(OptionError) as caught:
        check_range(Options(value), "x", **bounds)
    assert str(caught.value) == f"x is {value}: choose {remedy}"
    assert (caught.value.config, caught.value.field) == (Options, "x")


def test_numbers_within_range_and_none_pass() -> None:
    check_range(Options(0.0), "x", least=0, below=1)
    check_range(Options(1.0), "x", above=0, most=1)
    check_range(Options(None), "x", least=5)


EXPECTED: dict[str, Any] = {"a": torch.zeros(2), "b": [np.zeros(3, np.int64)]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "state is missing or is not a dict"),
        ({"a": torch.zeros(2)}, "state lacks b"),
        (EXPECTED | {"c": 1}, "state has unknown keys: c"),
        (EXPECTED | {"b": []}, "state/b is not a list of length 1"),
        (EXPECTED | {"a": np.zeros(2)}, "state/a is not a Tensor"),
        (EXPECTED | {"a": torch.zeros(3)}, "state/a has shape (3,), not (2,)"),
        (EXPECTED | {"b": [np.zeros(3)]}, "state/b/0 is float64, not int64"),
        (EXPECTED | {"a": torch.tensor([0.0, math.nan])}, "state/a holds numbers that are not"),
    ],
)
def test_a_tree_that_does_not_fit_is_reported_with_the_place(value: Any, problem: str) -> None:
    check_fit(EXPECTED, EXPECTED, "state")
    with pytest.raises(ValueError, match="state") as caught:
        check_fit(value, EXPECTED, "state")
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("value", [True, 1.0, "1", -1, 4, None])
def test_a_number_of_the_wrong_type_or_size_is_rejected(value: Any) -> None:
    assert check_number(3, int, 0, 3, "count") == 3
    with pytest.raises(ValueError, match=r"count is .*, not a number of type int from 0 to 3"):
        check_number(value, int, 0, 3, "count")


@dataclass(frozen=True)
class Stored:
    """Options of all kinds that a file may hold."""

    count: int = 1
    rate: float = 0.5
    on: bool = False
    how: Literal["sync", "async"] = "sync"
    names: tuple[str, ...] = ()
    limit: int | None = None
    first: Annotated[int, "a note"] = 0


def test_options_are_read_from_json_with_their_types() -> None:
    values = {"count": 3, "rate": 2, "on": True, "how": "async", "names": ["a"], "limit": None}
    read = options_from_json(Stored, values, "stored")
    assert read == Stored(3, 2.0, True, "async", ("a",), None)
    assert type(read.rate) is float
    assert options_from_json(Stored, {"limit": 5, "first": 2}, "stored") == Stored(limit=5, first=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("count", value) for value in (1.0, "1", None, True, 2**60, [1])),
        *(("rate", value) for value in ("1", math.nan, math.inf, 10**400, False)),
        *(("on", value) for value in (1, "true", None)),
        *(("how", value) for value in ("fast", ["sync"], None)),
        *(("names", value) for value in ("a", [1], {"a": 1})),
        *(("limit", value) for value in (1.5, "None")),
        ("first", 1.5),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"stored/{name} is .* not a value of this option"):
        options_from_json(Stored, {name: value}, "stored")


@pytest.mark.parametrize(
    ("values", "problem"),
    [([], "is not a JSON object"), (None, "is not a JSON object"), ({"x": 1}, "unknown keys: x")],
)
def test_what_holds_no_options_is_refused(values: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        options_from_json(Stored, values, "stored")
