"""Checks of options and of data read from a file."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from rl_expire.validate import OptionError, check_fit, check_number, check_range


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
