"""What is said of a batch whose loss is not finite."""

import json
import math

import pytest
import torch
from torch import nn

from rl_expire.learning.nonfinite import NonFiniteLossError, describe
from rl_expire.learning.ppo import step_optimizer

INF, NAN = math.inf, math.nan


def test_ranges_are_those_of_the_finite_entries_and_the_others_are_counted() -> None:
    values = torch.tensor([[1.0, NAN, -2.0], [INF, 0.5, -INF]])
    told = describe({"value": values})
    assert told == {"value": {"least": -2.0, "most": 1.0, "entries": 6, "nonfinite": 3}}


def test_flags_are_told_by_their_share() -> None:
    told = describe({"terminated": torch.tensor([True, False, False, False])})
    assert told == {"terminated": {"share": 0.25, "entries": 4, "nonfinite": 0}}


def test_a_tensor_without_a_finite_entry_has_no_range_and_all_of_it_is_json() -> None:
    batch = {"value": torch.tensor([NAN, INF]), "spans": torch.zeros(0, 3)}
    told = json.loads(json.dumps(describe(batch), allow_nan=False))
    assert told["value"] == {"least": None, "most": None, "entries": 2, "nonfinite": 2}
    assert told["spans"] == {"least": None, "most": None, "entries": 0, "nonfinite": 0}


def test_the_batch_is_not_held_by_its_description() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    assert describe({"value": weight * 3})["value"]["most"] == 6.0


def test_a_step_on_a_bad_gradient_changes_no_weight_and_carries_the_batch() -> None:
    weight = nn.Parameter(torch.tensor([0.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    loss = weight.sqrt().sum()  # 0, but its slope there is infinite
    with pytest.raises(NonFiniteLossError, match=r"loss 0\.0, gradient norm inf") as caught:
        step_optimizer(optimizer, loss, [weight], 1.0, {"reward": torch.tensor([1.0])})
    assert caught.value.description["reward"]["most"] == 1.0
    assert weight.item() == 0.0
