"""The description of a batch, and the count of skipped steps."""

import json
import math

import pytest
import torch
from torch import nn

from rl_expire.learning.nonfinite import NonFiniteLossError, SkipCounter, describe

INF, NAN = math.inf, math.nan


def test_ranges_cover_the_finite_entries_and_the_others_are_counted() -> None:
    values = torch.tensor([[1.0, NAN, -2.0], [INF, 0.5, -INF]])
    description = describe({"value": values})
    assert description == {"value": {"least": -2.0, "most": 1.0, "entries": 6, "nonfinite": 3}}


def test_bools_are_described_by_the_share_that_is_true() -> None:
    description = describe({"terminated": torch.tensor([True, False, False, False])})
    assert description == {"terminated": {"share": 0.25, "entries": 4, "nonfinite": 0}}


def test_a_tensor_without_a_finite_entry_has_no_range_and_is_valid_json() -> None:
    batch = {"value": torch.tensor([NAN, INF]), "spans": torch.zeros(0, 3)}
    description = json.loads(json.dumps(describe(batch), allow_nan=False))
    assert description["value"] == {"least": None, "most": None, "entries": 2, "nonfinite": 2}
    assert description["spans"] == {"least": None, "most": None, "entries": 0, "nonfinite": 0}


def test_tensors_that_require_gradients_can_be_described() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    assert describe({"value": weight * 3})["value"]["most"] == 6.0


def test_more_consecutive_skips_than_the_limit_raise_the_error() -> None:
    skips, error = SkipCounter(limit=2), NonFiniteLossError("loss nan", {})
    for _ in range(2):
        skips.step_skipped(error)
    skips.step_taken()
    for _ in range(2):
        skips.step_skipped(error)
    assert (skips.total, skips.consecutive) == (4, 2)
    with pytest.raises(NonFiniteLossError, match="loss nan"):
        skips.step_skipped(error)
