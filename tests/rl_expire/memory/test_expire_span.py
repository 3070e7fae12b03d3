"""Expire-Span: fades, spans and costs against numbers by hand and plain Python loops."""

import math

import pytest
import torch

from rl_expire.memory.expire_span import (
    Fade,
    SpanHead,
    early_fade_bias,
    fade_bias,
    is_held,
    mean_span,
    ramp_span,
    span_penalty,
)
from tests.rl_expire.memory.naive import INF, close, fades, naive_attention, naive_mask, random_head
from tests.support import expire_agent, random_steps, set_spans


@pytest.mark.parametrize(
    ("fade", "expected"),
    [
        ("linear", [1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0]),
        ("log-linear", [1, 1, 1, *(math.exp(-2.5 * k) for k in (1, 2, 3)), 0, 0, 0]),
    ],
)
def test_mask_by_hand(fade: Fade, expected: list[float]) -> None:
    remaining = torch.tensor([9.0, 0.5, 0, -1, -2, -3, -4, -5, -INF])
    bias = fade_bias(remaining, 4.0, fade)
    close(bias.exp(), expected)
    assert bias.isneginf().tolist() == [False] * 6 + [True] * 3
    assert is_held(remaining, 4.0).tolist() == [True] * 6 + [False] * 3


@fades
@pytest.mark.parametrize("ramp", [0.3, 1.0, 7.0, 128.0])
def test_mask_equals_a_loop(fade: Fade, ramp: float) -> None:
    remaining = torch.linspace(-2 * ramp, 2 * ramp, 403, dtype=torch.float64)
    expected = [naive_mask(float(r), ramp, fade) for r in remaining]
    close(fade_bias(remaining, ramp, fade).exp(), expected)


@fades
def test_early_ramp_starts_within_the_lifetime_and_ends_where_it_did(
    fade: Fade,
) -> None:
    span, ramp, early = 20.0, 4.0, 0.3
    age = torch.arange(0.0, 30.0, dtype=torch.float64)
    bias = early_fade_bias(span - age, age, ramp, fade, early)
    # The ramp extends from age 14 to age 24.
    expected = [naive_mask(14.0 - float(a), 10.0, fade) for a in age]
    close(bias.exp(), expected)
    assert torch.equal(bias.isneginf(), fade_bias(span - age, ramp, fade).isneginf())
    torch.testing.assert_close(
        early_fade_bias(span - age, age, ramp, fade, 0.0),
        fade_bias(span - age, ramp, fade),
    )


@fades
def test_bias_equals_the_papers_renormalised_attention(fade: Fade) -> None:
    ramp, queries, keys = 4.0, 30, 9
    score = 3 * torch.randn(queries, keys, dtype=torch.float64)
    remaining = 12 * torch.rand(queries, keys, dtype=torch.float64) - 7
    remaining[:, 0] = 2.0  # a query always sees its own state
    weights = torch.softmax(score + fade_bias(remaining, ramp, fade), -1)
    for t in range(queries):
        mask = [naive_mask(float(r), ramp, fade) for r in remaining[t]]
        close(weights[t], naive_attention(score[t].tolist(), mask))
    assert (weights == 0).any()


def test_span_by_hand() -> None:
    head = SpanHead(2, 100.0, 0.2)
    close(head(torch.randn(5, 2)), [20.0] * 5, 1e-5)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([1.0, -2.0]))
        head.bias.fill_(0.5)
        head.center.copy_(torch.tensor([1.0, 1.0]))
        head.scale.fill_(2.0)
    # w . (h - center) / scale + b = (1 * 2 - 2 * 1) / 2 + 0.5 and (0 - 2 * 4) / 2 + 0.5
    spans = head(torch.tensor([[3.0, 2.0], [1.0, 5.0]]))
    close(spans, [100 / (1 + math.exp(-0.5)), 100 / (1 + math.exp(3.5))], 1e-5)


def test_span_equals_a_loop() -> None:
    head = random_head(5)
    hidden = torch.randn(3, 4, 5, dtype=torch.float64)
    spans = head(hidden)
    assert spans.shape == (3, 4)
    for b in range(3):
        for k in range(4):
            z = head.bias.item()
            for d in range(5):
                z += (head.weight[d] * (hidden[b, k, d] - head.center[d]) / head.scale).item()
            close(spans[b, k], 12.0 / (1 + math.exp(-z)))


def test_costs_by_hand() -> None:
    spans = torch.tensor([[2.0, 6.0], [1.0, 3.0]])
    close(mean_span(spans), 3.0)
    # On the ramp of 4: both of (-1, -3); the first of (-3.9, 0); none; the last.
    remaining = torch.tensor([[[-1.0, -3.0], [-3.9, 0.0]], [[-4.0, INF], [-INF, -0.1]]])
    close(ramp_span(spans, remaining, 4.0), (8 + 2 + 0 + 3) / 4 / 4)


def test_ramp_cost_equals_a_loop() -> None:
    rows, queries, keys, ramp = 3, 5, 7, 2.5
    spans = 8 * torch.rand(rows, keys, dtype=torch.float64)
    remaining = 12 * torch.rand(rows, queries, keys, dtype=torch.float64) - 6
    total = 0.0
    for b in range(rows):
        for t in range(queries):
            for k in range(keys):
                if -ramp < float(remaining[b, t, k]) < 0:
                    total += float(spans[b, k])
    close(ramp_span(spans, remaining, ramp), total / (rows * queries) / ramp)


def test_span_penalty_by_hand() -> None:
    spans = [0.5, 10.0, 300.0, 599.0]
    logits = torch.tensor([math.log(e / (600 - e)) for e in spans], dtype=torch.float64)
    expected = sum(math.log(1 + e / (1 - e / 600) / 4) for e in spans) / 4
    close(span_penalty(logits, 600.0, 4.0), expected)


def test_gradient_of_the_span_penalty_does_not_vanish_for_long_spans() -> None:
    logits = torch.tensor([-3.0, 0.0, 5.0, 40.0, -40.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(5 * span_penalty(logits, 600.0, 4.0), logits)
    torch.testing.assert_close(gradient, torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]), atol=0.15, rtol=0)


@pytest.mark.parametrize("ramp", [2.0, 8.0])
def test_ramp_cost_over_a_lifetime_is_the_span(ramp: float) -> None:
    spans = torch.tensor([[3.3, 11.7]])
    age = torch.arange(40.0).view(1, -1, 1)
    cost = ramp_span(spans, spans.unsqueeze(1) - age, ramp) * 40
    close(cost, 15.0, 1e-5)


@fades
def test_with_spans_of_zero_steps_are_independent(fade: Fade) -> None:
    agent = expire_agent(layers=2, fade=fade, ramp=1.0)
    steps = random_steps(8, 2)
    alone = steps.map(lambda x: x.reshape(1, 16, *x.shape[2:]))
    logits = agent.unroll(steps, agent.initial_memory(2)).logits
    single = agent.unroll(alone, agent.initial_memory(16)).logits.reshape_as(logits)
    assert (logits - single).abs().max() > 0.01, "memory has no effect"
    set_spans(agent, -1000.0)
    logits = agent.unroll(steps, agent.initial_memory(2)).logits
    single = agent.unroll(alone, agent.initial_memory(16)).logits.reshape_as(logits)
    torch.testing.assert_close(logits, single, atol=1e-5, rtol=1e-5)


def test_calibration_measures_centre_and_spread() -> None:
    head = SpanHead(2, 10.0, 0.3)
    head.calibrate(torch.tensor([[[1.0, 10.0], [3.0, 10.0]], [[1.0, 14.0], [3.0, 14.0]]]))
    close(head.center, [2.0, 12.0])
    close(head.scale, math.sqrt((1 + 4) / 2))
    close(head(torch.randn(4, 2)), [3.0] * 4, 1e-5)


def test_after_calibration_the_bias_is_the_logit_of_the_mean_state() -> None:
    torch.manual_seed(0)
    head = random_head(3)
    hidden = 5 + 3 * torch.randn(50, 3, dtype=torch.float64)
    head.calibrate(hidden)
    close(head(hidden.mean(0)), 12.0 / (1 + math.exp(0.4)))
    centred = (hidden - head.center) / head.scale
    close(centred.pow(2).mean(), 1.0)


def test_calibration_on_identical_states_is_finite() -> None:
    head = SpanHead(3, 10.0, 0.5)
    head.calibrate(torch.ones(7, 3))
    close(head(torch.ones(7, 3)), [5.0] * 7)
    assert head(torch.full((1, 3), 1.5)).isfinite().all()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_initial_fraction_must_lie_between_0_and_1(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"initial_fraction is .* between 0 and 1"):
        SpanHead(4, 10.0, fraction)
