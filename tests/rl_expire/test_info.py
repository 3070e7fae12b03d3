"""Numbers and flags, read from values as people write them into `info`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from rl_expire.info import flag, scalar

NUMBERS: list[tuple[Any, float]] = [
    (True, 1.0),
    (3, 3.0),
    (0.25, 0.25),
    (np.bool_(True), 1.0),
    (np.int64(2), 2.0),
    (np.float16(0.5), 0.5),
    (np.array(True), 1.0),
    (np.array(0.75), 0.75),
    (np.array([4]), 4.0),
    (np.array(np.bool_(True), dtype=object), 1.0),
    (torch.tensor(True), 1.0),
    (torch.tensor([0.5]), 0.5),
    (Fraction(1, 4), 0.25),
]
OTHERS: list[Any] = [
    *(None, "1", "", b"1", [], [1.0], {}, {"a": 1}, object(), 1j, 10**400),
    *(np.nan, np.inf, np.float32("nan"), np.array([]), np.array([1, 2]), np.array("a")),
    *(np.datetime64("2024-01-01"), torch.zeros(2, 2), np.array(None, dtype=object)),
]


@pytest.mark.parametrize(("value", "number"), NUMBERS, ids=repr)
def test_a_number_is_read_whatever_its_type(value: Any, number: float) -> None:
    assert scalar(value) == number
    assert type(scalar(value)) is float


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_anything_else_is_no_number(value: Any) -> None:
    assert scalar(value) is None


@pytest.mark.parametrize("value", [False, 0, 0.0, np.bool_(False), np.array(0), torch.zeros(1)])
def test_a_flag_may_be_a_truth_value_or_0_or_1(value: Any) -> None:
    assert flag(value, "key") is False
    assert flag(value + 1, "key") is True


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (None, "None"),
        ("yes", "'yes'"),
        (0.5, "0.5"),
        (2, "2"),
        (np.nan, "nan"),
        ([True, False], "a list"),
        ({"a": 1}, "a dict"),
        (np.zeros((3, 2)), r"an array of shape \(3, 2\)"),
    ],
)
def test_anything_else_under_the_key_of_a_flag_is_refused_by_name(
    value: Any, described: str
) -> None:
    with pytest.raises(ValueError, match=rf"^info\['a.b'\] is {described}: give True or False$"):
        flag(value, "a.b")
