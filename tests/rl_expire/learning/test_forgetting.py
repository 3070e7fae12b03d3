"""Learning what to forget: what changes the spans, and that nothing else changes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rl_expire.learning.forgetting import ForgettingConfig, distillation, forget_update
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.types import AgentOutput, Rollout
from tests.support import copy_of, expire_agent, made_up_rollout, random_steps, set_spans

T, B = 8, 4


def make_output(logits: Tensor, value: Tensor) -> AgentOutput:
    return AgentOutput(logits, value, torch.zeros(()), torch.zeros(0, *value.shape))


def test_distillation_by_hand() -> None:
    # Teacher (1/2, 1/2), student (1/4, 3/4): KL = log 2 - (log 1 + log 3) / 2 + ... = 0.1438.
    teacher = make_output(torch.zeros(1, 1, 2), torch.tensor([[3.0]]))
    student = make_output(torch.tensor([[[1.0, 3.0]]]).log(), torch.tensor([[1.0]]))
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75) + 0.5 * 4.0
    yes = torch.ones(1, 1, dtype=torch.bool)
    assert float(distillation(student, teacher, yes, yes)) == pytest.approx(expected)
    assert float(distillation(student, teacher, yes, ~yes)) == pytest.approx(0.5 * 4.0)


def test_distillation_equals_its_explicit_sum_over_valid_steps() -> None:
    valid, choice = torch.rand(T, B) > 0.3, torch.rand(T, B) > 0.5
    faded, unfaded = (make_output(torch.randn(T, B, 3), torch.randn(T, B)) for _ in range(2))
    total = 0.0
    for t, b in valid.nonzero().tolist():
        p, q = unfaded.logits[t, b].softmax(-1), faded.logits[t, b].softmax(-1)
        if choice[t, b]:
            total += sum(float(x * (x / y).log()) for x, y in zip(p, q, strict=True))
        total += 0.5 * float(unfaded.value[t, b] - faded.value[t, b]) ** 2
    expected = total / int(valid.sum())
    assert float(distillation(faded, unfaded, valid, choice)) == pytest.approx(expected, abs=1e-5)


def test_distillation_does_not_depend_on_the_unit_of_values() -> None:
    yes = torch.ones(T, B, dtype=torch.bool)
    one, other = (make_output(torch.randn(T, B, 3), torch.randn(T, B)) for _ in range(2))
    unit = torch.tensor(100.0)
    far, from_it = (replace(e, value=unit * e.value, value_scale=unit) for e in (one, other))
    expected = distillation(one, other, yes, yes)
    torch.testing.assert_close(distillation(far, from_it, yes, yes), expected)


def make_rollout(agent: Any) -> Rollout[Any]:
    """Return a rollout that starts in the middle of an episode, with memories of it."""
    memory = agent.initial_memory(B)
    for step in range(6):
        _, memory = agent.act(random_steps(6, B).map(lambda x, t=step: x[t]), memory)
    return made_up_rollout(T, B, memory, first=False, ends=0.05)


def distillation_loss(agent: Any, rollout: Rollout[Any], early: float = 0.0) -> Tensor:
    steps = rollout.acted_on
    faded, unfaded = (agent.unroll(steps, rollout.memory, early=e) for e in (early, None))
    return distillation(faded, unfaded, rollout.valid, rollout.choice)


@pytest.mark.parametrize("fade", ["linear", "log-linear"])
def test_the_loss_is_zero_while_no_memory_fades(fade: str) -> None:
    agent = expire_agent(max_span=1000.0, fade=fade)
    set_spans(agent, 0.0)
    assert float(distillation_loss(agent, make_rollout(agent)).detach()) == pytest.approx(
        0.0, abs=1e-9
    )


@pytest.mark.parametrize("fade", ["linear", "log-linear"])
def test_a_loss_caused_by_fading_lengthens_spans(fade: str) -> None:
    agent = expire_agent(max_span=8.0, ramp=6.0, fade=fade)
    set_spans(agent, 0.0)
    rollout = make_rollout(agent)
    loss = distillation_loss(agent, rollout)
    assert loss > 1e-5
    loss.backward()
    bias = agent.span_parameters()[1]
    assert bias.grad is not None
    assert bias.grad < 0, "a step down the gradient lengthens spans"


def update(agent: Any, alpha: float, **options: Any) -> dict[str, float]:
    optimizer = torch.optim.SGD(agent.span_parameters(), lr=0.5)
    config = ForgettingConfig(minibatches=2, **options)
    return forget_update(agent, optimizer, make_rollout(agent), config, alpha=alpha)


def test_an_update_changes_only_the_span_parameters() -> None:
    agent = expire_agent(max_span=20.0)
    before = copy_of(agent)
    update(agent, alpha=0.1)
    changed = {name for name, x in agent.state_dict().items() if not torch.equal(x, before[name])}
    assert changed == {"layers.0.lifetime.head.weight", "layers.0.lifetime.head.bias"}


def test_a_loss_that_is_not_finite_changes_nothing_and_describes_the_batch() -> None:
    agent = expire_agent(max_span=20.0)
    with torch.no_grad():
        agent.heads.value.bias.fill_(math.nan)
    before = copy_of(agent)
    with pytest.raises(NonFiniteLossError) as caught:
        update(agent, alpha=0.1)
    assert caught.value.description["value"]["nonfinite"] == T * B // 2
    assert caught.value.description["logits"]["nonfinite"] == 0
    for name, x in agent.state_dict().items():
        torch.testing.assert_close(x, before[name], rtol=0, atol=0, equal_nan=True)


def mean_span(agent: Any) -> float:
    steps = random_steps(T, B, seed=9, first=[(0, b) for b in range(B)])
    return float(agent.unroll(steps, agent.initial_memory(B)).spans.mean().detach())


def test_the_penalty_shortens_spans_that_are_not_needed() -> None:
    spans = {}
    for alpha in (0.0, 0.1):
        agent = expire_agent(max_span=1000.0)
        set_spans(agent, 0.0)
        for _ in range(3):
            update(agent, alpha, max_grad_norm=10.0)
        spans[alpha] = mean_span(agent)
    assert spans[0.0] == pytest.approx(500.0, abs=1.0)
    assert spans[0.1] < 490.0


def test_fading_ahead_of_time_lengthens_spans_before_a_memory_is_lost() -> None:
    """The oldest memory is 10 steps old and its span is 12.5 steps, so that nothing fades."""
    gradients = {}
    for early in (0.0, 0.5):
        agent = expire_agent(max_span=25.0, ramp=1.0)
        set_spans(agent, 0.0)
        rollout = make_rollout(agent)
        assert distillation_loss(agent, rollout).item() == pytest.approx(0.0, abs=1e-9)
        distillation_loss(agent, rollout, early).backward()
        grad = agent.span_parameters()[1].grad
        assert grad is not None
        gradients[early] = float(grad)
    assert gradients[0.0] == pytest.approx(0.0, abs=1e-9)
    assert gradients[0.5] < 0, "a step down the gradient lengthens spans"


def test_the_penalty_shortens_spans_well_above_the_ramp_by_the_same_factor() -> None:
    gradients = []
    for max_span, logit in ((1e6, -3.0), (1e8, -3.0), (1e6, 30.0)):
        agent = expire_agent(max_span=max_span)
        set_spans(agent, logit)
        optimizer = torch.optim.SGD(agent.span_parameters(), lr=0.0)
        config = ForgettingConfig(minibatches=1, max_grad_norm=math.inf)
        forget_update(agent, optimizer, make_rollout(agent), config, alpha=1.0)
        grad = agent.span_parameters()[1].grad
        assert grad is not None
        gradients.append(float(grad))
    assert gradients == pytest.approx([gradients[0]] * 3, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_spans_of_zero_do_not_change_any_weight(alpha: float) -> None:
    agent = expire_agent(max_span=1000.0)
    set_spans(agent, -1000.0)
    before = copy_of(agent)
    update(agent, alpha)
    for name, x in agent.state_dict().items():
        torch.testing.assert_close(x, before[name], rtol=1e-5, atol=1e-5)
