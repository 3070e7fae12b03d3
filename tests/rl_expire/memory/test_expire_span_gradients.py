"""Expire-Span: gradients by hand, by finite differences, and at the edges of the ramp."""

import math

import pytest
import torch

from rl_expire.memory.expire_span import (
    Fade,
    SpanHead,
    fade_bias,
    is_held,
    mean_span,
)
from tests.rl_expire.memory.naive import (
    INF,
    close,
    fades,
    naive_attention,
    naive_mask,
    naive_slope,
    random_head,
)
from tests.support import expire_agent, random_steps, set_spans

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
