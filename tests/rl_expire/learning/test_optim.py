"""What the learners share: minibatches, means, optimizer steps and averages."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.optim import (
    MeanMetrics,
    masked_mean,
    minibatches,
    span_stats,
    step_optimizers,
)
from rl_expire.memory.horizon import FOR_GOOD, SHORTEST
from tests.counting import CountingMemory
from tests.support import CPU, made_up_rollout

T, B = 6, 5


def test_minibatches_are_disjoint_and_cover_every_row() -> None:
    parts = list(minibatches(12, 4, CPU))
    assert [len(p) for p in parts] == [3, 3, 3, 3]
    assert sorted(torch.cat(parts).tolist()) == list(range(12))
    assert not torch.equal(torch.cat(parts), torch.cat(list(minibatches(12, 4, CPU))))


def test_gradients_are_clipped_to_the_norm_and_never_scaled_up() -> None:
    for size, moved in ((3.0, 0.5), (0.1, 0.1)):
        weight = nn.Parameter(torch.zeros(4))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        norm = step_optimizers([(optimizer, 0.5)], (weight * size).sum() / 2)
        assert norm is not None
        assert float(norm[0]) == pytest.approx(size)
        assert float(weight.detach().norm()) == pytest.approx(moved, rel=1e-4)


def test_a_step_whose_gradient_is_not_finite_is_skipped_and_described() -> None:
    weight = nn.Parameter(torch.tensor([0.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    loss = weight.sqrt().sum()  # 0, with an infinite gradient
    with pytest.raises(NonFiniteLossError, match=r"loss 0\.0, gradient norm inf") as caught:
        step_optimizers([(optimizer, 1.0)], loss, {"reward": torch.tensor([1.0])})
    assert caught.value.description["reward"]["most"] == 1.0
    assert weight.item() == 0.0


def test_typical_spans_of_relevant_and_other_observations_are_geometric_means() -> None:
    rollout = made_up_rollout(T, B, CountingMemory(torch.zeros(B, dtype=torch.int64)))
    spans = torch.arange(2.0 * T * B).view(2, T, B)
    spans[1, 0] = 1e9
    lengths = spans.clamp(SHORTEST, FOR_GOOD).log().mean(0)
    stats = span_stats(spans, rollout)
    assert stats["span_relevant"] == lengths[rollout.relevant].mean().exp()
    assert stats["span_other"] == lengths[~rollout.relevant].mean().exp()
    none = replace(rollout, relevant=torch.zeros(T, B, dtype=torch.bool))
    assert span_stats(spans, none)["span_relevant"].isnan()
    assert span_stats(torch.zeros(0, T, B), rollout) == {}


def test_averages_ignore_nan() -> None:
    metrics = MeanMetrics()
    for value in (1.0, math.nan, 3.0):
        metrics.add({"x": torch.tensor(value)})
    assert metrics.means() == {"x": 2.0}


def test_a_masked_mean_over_no_entries_is_zero() -> None:
    assert masked_mean(torch.ones(3), torch.zeros(3, dtype=torch.bool)) == 0
