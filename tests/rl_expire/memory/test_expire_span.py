"""Expire-Span: fades, spans and costs against numbers by hand and plain Python loops."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

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
from tests.support import expire_agent, random_steps, set_spans

FADES: list[Fade] = ["linear", "log-linear"]
fades = pytest.mark.parametrize("fade", FADES)

INF = math.inf


def close(actual: Tensor, expected: Any, tolerance: float = 1e-6) -> None:
    """Assert that values are close, whatever the type of `expected`."""
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)


def naive_mask(remaining: float, ramp: float, fade: Fade) -> float:
    """Return the weight factor of a memory."""
    if remaining <= -ramp:
        return 0.0
    if remaining >= 0:
        return 1.0
    return 1 + remaining / ramp if fade == "linear" else math.exp(10 * remaining / ramp)


def naive_slope(remaining: float, ramp: float, fade: Fade) -> float:
    """Return the derivative of `naive_mask` where it exists."""
    if not -ramp < remaining < 0:
        return 0.0
    return 1 / ramp if fade == "linear" else 10 / ramp * naive_mask(remaining, ramp, fade)


def naive_attention(score: list[float], mask: list[float]) -> list[float]:
    """Return m * a / sum(m * a), the paper's equation 4."""
    total = sum(math.exp(s) for s in score)
    faded = [m * math.exp(s) / total for m, s in zip(mask, score, strict=True)]
    return [f / sum(faded) for f in faded]


def random_head(width: int, max_span: float = 12.0) -> SpanHead:
    """Return a head with random weights in double precision."""
    head = SpanHead(width, max_span, 0.5).double()
    with torch.no_grad():
        head.weight.normal_()
        head.bias.fill_(-0.4)
        head.center.normal_()
        head.scale.fill_(1.7)
    return head


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


ALPHA, RAMP, SPAN, KEYS, WIDTH = 0.3, 5.0, 12.0, 9, 4


class ByHand:
    """Task loss plus alpha times the mean span for one causal head, computed by loops.

    Memory i is written at step i and has the value `value[i]`. The task loss is the sum over
    queries t of `push[t]` times the output of query t.
    """

    def __init__(self, head: SpanHead, fade: Fade):
        self.fade: Fade = fade
        self.hidden = torch.randn(KEYS, WIDTH, dtype=torch.float64)
        self.score = torch.randn(KEYS, KEYS, dtype=torch.float64)
        self.value, self.push = torch.randn(2, KEYS, dtype=torch.float64)
        self.inputs = ((self.hidden - head.center) / head.scale).tolist()

    def spans(self, theta: list[float]) -> list[float]:
        """Return L * sigmoid(w . x + b), with theta = (*w, b)."""
        logits = [
            sum(w * x for w, x in zip(theta, (*row, 1.0), strict=True)) for row in self.inputs
        ]
        return [SPAN / (1 + math.exp(-z)) for z in logits]

    def weights(self, t: int, spans: list[float]) -> list[float]:
        """Return the attention weights of query t."""
        masks = [naive_mask(spans[i] - (t - i), RAMP, self.fade) for i in range(t + 1)]
        return naive_attention(self.score[t, : t + 1].tolist(), masks)

    def output(self, t: int, spans: list[float]) -> float:
        """Return the output of query t."""
        return sum(p * float(v) for p, v in zip(self.weights(t, spans), self.value, strict=False))

    def loss(self, theta: list[float]) -> float:
        """Return the task loss plus alpha times the mean span."""
        spans = self.spans(theta)
        task = sum(float(self.push[t]) * self.output(t, spans) for t in range(KEYS))
        return task + ALPHA * sum(spans) / KEYS

    def span_gradient(self, i: int, spans: list[float]) -> float:
        """Return d loss / d span i, from d p_j / d m_i = (p_i / m_i) * ([i = j] - p_j)."""
        total = ALPHA / KEYS
        for t in range(i, KEYS):
            left = spans[i] - (t - i)
            if slope := naive_slope(left, RAMP, self.fade):
                share = self.weights(t, spans)[i] / naive_mask(left, RAMP, self.fade)
                gain = float(self.value[i]) - self.output(t, spans)
                total += float(self.push[t]) * slope * share * gain
        return total

    def gradient(self, theta: list[float]) -> list[float]:
        """Return d loss / d theta by the chain rule."""
        spans, total = self.spans(theta), [0.0] * (WIDTH + 1)
        for i in range(KEYS):
            slope = spans[i] * (1 - spans[i] / SPAN)  # d span / d z
            for d, x in enumerate((*self.inputs[i], 1.0)):
                total[d] += self.span_gradient(i, spans) * slope * x
        return total

    def finite_differences(self, theta: list[float], tiny: float = 1e-6) -> list[float]:
        """Return d loss / d theta by central differences."""
        slopes = []
        for d in range(len(theta)):
            up, down = list(theta), list(theta)
            up[d], down[d] = up[d] + tiny, down[d] - tiny
            slopes.append((self.loss(up) - self.loss(down)) / (2 * tiny))
        return slopes


@fades
@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_by_hand_and_by_finite_differences(fade: Fade, seed: int) -> None:
    torch.manual_seed(seed)
    head = random_head(WIDTH, SPAN)
    naive = ByHand(head, fade)
    theta = [*head.weight.tolist(), head.bias.item()]

    spans, age = head(naive.hidden), torch.arange(KEYS).unsqueeze(1) - torch.arange(KEYS)
    bias = fade_bias(spans - age, RAMP, fade).masked_fill(age < 0, -INF)
    output = torch.softmax(naive.score + bias, -1) @ naive.value
    loss = (naive.push * output).sum() + ALPHA * mean_span(spans)
    loss.backward()

    on_ramp = (spans - age < 0) & (spans - age > -RAMP) & (age >= 0)
    assert on_ramp.sum() >= 5, "too few memories are on their ramp to test anything"
    close(loss.detach(), naive.loss(theta))
    assert head.weight.grad is not None
    assert head.bias.grad is not None
    gradient = torch.cat([head.weight.grad, head.bias.grad.view(1)])
    close(gradient, naive.gradient(theta))
    close(gradient, naive.finite_differences(theta), 1e-5)


@fades
def test_gradient_reaches_a_span_only_on_the_ramp(fade: Fade) -> None:
    remaining = torch.tensor([5.0, 0.1, -0.1, -2, -3.9, -4, -4.1, -INF], requires_grad=True)
    torch.softmax(fade_bias(remaining, 4.0, fade), -1)[1].backward()
    assert remaining.grad is not None
    assert (remaining.grad != 0).tolist() == [False, False, True, True, True, False, False, False]


EDGES = {
    "only its own state": [0.0],
    "all others expired": [0.0, -4.0, -9.0, -INF, -INF],
    "exactly 0 and -R": [0.0, 0.0, -0.0, -4.0, -4.0],
    "next to 0 and -R": [
        0.0,
        *(math.nextafter(0, s) for s in (INF, -INF)),
        -4 + 2**-22,
        -4 - 2**-21,
    ],
}


@fades
@pytest.mark.parametrize("left", EDGES.values(), ids=EDGES.keys())
def test_edges_of_the_ramp_give_finite_outputs_and_gradients(fade: Fade, left: list[float]) -> None:
    remaining = torch.tensor(left, requires_grad=True)
    score = torch.linspace(-2, 2, len(left)).requires_grad_()
    weights = torch.softmax(score + fade_bias(remaining, 4.0, fade), -1)
    close(weights.sum(), 1.0)
    close(weights, naive_attention(score.tolist(), [naive_mask(r, 4.0, fade) for r in left]))
    (weights * torch.randn(len(left))).sum().backward()
    for tensor in (remaining, score):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


@fades
def test_bias_just_above_minus_ramp_is_finite_for_any_ramp(fade: Fade) -> None:
    for ramp in [*torch.linspace(0.1, 70, 500).tolist(), 1.0, 3.0, 7.0, 8.0, 56.0]:
        edge = torch.full((9,), float(torch.tensor(-ramp)))
        remaining = torch.nextafter(edge, torch.zeros(9)).requires_grad_()
        bias = fade_bias(remaining, ramp, fade)
        held = is_held(remaining.detach(), ramp)
        assert torch.equal(bias.isfinite(), held)
        bias[held].sum().backward()
        assert remaining.grad is not None
        assert remaining.grad.isfinite().all()


@fades
@pytest.mark.parametrize("bias", [-1000.0, 1000.0], ids=["spans of 0", "spans of L"])
def test_outputs_and_gradients_are_finite_for_saturated_spans(fade: Fade, bias: float) -> None:
    agent = expire_agent(layers=2, fade=fade, ramp=1.0, span_cost="mean")
    set_spans(agent, bias)
    steps = random_steps(10, 2, first=[(0, 0), (0, 1), (6, 1)])
    output = agent.unroll(steps, agent.initial_memory(2))
    span = 0.0 if bias < 0 else agent.config.max_span
    assert (output.spans == span).all()
    (output.logits.square().sum() + output.value.sum() + output.aux_loss).backward()
    assert output.logits.isfinite().all()
    assert output.value.isfinite().all()
    for p in agent.parameters():
        assert p.grad is not None
        assert p.grad.isfinite().all()


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
