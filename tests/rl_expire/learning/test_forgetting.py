"""Learning what to forget: what changes the spans, and that nothing else changes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from rl_expire.actions import ActionDistribution
from rl_expire.learning.forgetting import Forgetting, ForgettingConfig, distillation
from rl_expire.learning.memory_price import MemoryPrice, MemoryUse
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.optim import step_optimizers, tensors_to_describe
from rl_expire.types import AgentOutput, Rollout
from tests.support import copy_of, expire_agent, made_up_rollout, random_steps, set_spans

T, B = 8, 4
ACTIONS = ActionDistribution(Discrete(3))


def make_output(logits: Tensor, value: Tensor) -> AgentOutput:
    return AgentOutput(logits, value, torch.zeros(()), torch.zeros(0, *value.shape))


def naive_kl(teacher: Tensor, student: Tensor) -> float:
    """Return KL(teacher || student) of two policies, given their logits."""
    p, q = teacher.double().softmax(-1), student.double().softmax(-1)
    return sum(float(x * (x / y).log()) for x, y in zip(p, q, strict=True))


def test_distillation_by_hand() -> None:
    # Teacher (1/2, 1/2), student (1/4, 3/4): KL = log 2 - (log 1 + log 3) / 2 + ... = 0.1438.
    teacher = make_output(torch.zeros(1, 1, 2), torch.tensor([[3.0]]))
    student = make_output(torch.tensor([[[1.0, 3.0]]]).log(), torch.tensor([[1.0]]))
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75) + 0.5 * 4.0
    actions = ActionDistribution(Discrete(2))
    yes = torch.ones(1, 1, dtype=torch.bool)
    loss, kl = distillation(student, teacher, actions, yes, yes)
    assert float(loss) == pytest.approx(expected)
    assert kl.tolist() == [[pytest.approx(expected - 0.5 * 4.0)]]
    loss, kl = distillation(student, teacher, actions, yes, ~yes)
    assert float(loss) == pytest.approx(0.5 * 4.0)
    assert kl.tolist() == [[0.0]]


def test_distillation_equals_its_explicit_sum_over_valid_steps() -> None:
    valid, choice = torch.rand(T, B) > 0.3, torch.rand(T, B) > 0.5
    student, teacher = (make_output(torch.randn(T, B, 3), torch.randn(T, B)) for _ in range(2))
    total, divergences = 0.0, torch.zeros(T, B)
    for t, b in valid.nonzero().tolist():
        if choice[t, b]:
            divergences[t, b] = naive_kl(teacher.logits[t, b], student.logits[t, b])
        total += 0.5 * float(teacher.value[t, b] - student.value[t, b]) ** 2
    expected = (total + float(divergences.sum())) / int(valid.sum())
    loss, kl = distillation(student, teacher, ACTIONS, valid, choice)
    assert float(loss) == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(kl, divergences, rtol=1e-4, atol=1e-6)
    assert torch.equal(kl != 0, valid & choice), "it is zero at all other steps"


def test_the_divergence_at_the_choices_has_no_gradient_and_the_loss_has_one() -> None:
    yes = torch.ones(T, B, dtype=torch.bool)
    logits = torch.randn(T, B, 3, requires_grad=True)
    student = make_output(logits, torch.zeros(T, B))
    teacher = make_output(torch.randn(T, B, 3), torch.zeros(T, B))
    loss, kl = distillation(student, teacher, ACTIONS, yes, yes)
    assert not kl.requires_grad
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_distillation_does_not_depend_on_the_unit_of_values() -> None:
    yes = torch.ones(T, B, dtype=torch.bool)
    one, other = (make_output(torch.randn(T, B, 3), torch.randn(T, B)) for _ in range(2))
    unit = torch.tensor(100.0)
    far, from_it = (replace(e, value=unit * e.value, value_scale=unit) for e in (one, other))
    for found, expected in zip(
        distillation(far, from_it, ACTIONS, yes, yes),
        distillation(one, other, ACTIONS, yes, yes),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)


def make_rollout(agent: Any) -> Rollout[Any]:
    """Return a rollout that starts in the middle of an episode, with memories of it."""
    memory = agent.initial_memory(B)
    for step in range(6):
        _, memory = agent.act(random_steps(6, B).map(lambda x, t=step: x[t]), memory)
    return made_up_rollout(T, B, memory, first=False, ends=0.05)


def distillation_loss(agent: Any, rollout: Rollout[Any], early: float = 0.3) -> Tensor:
    steps = rollout.acted_on
    student, teacher = (agent.unroll(steps, rollout.memory, early=e) for e in (early, 0.0))
    return distillation(student, teacher, ACTIONS, rollout.valid, rollout.choice)[0]


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


def update(
    agent: Any,
    rollout: Rollout[Any] | None = None,
    *,
    alpha: float = 0.1,
    rate: float = 0.5,
    parts: int = 2,
    max_grad_norm: float = 0.3,
    early: float = 0.3,
) -> dict[str, float]:
    """Learn the spans on one rollout, in as many minibatches as `parts`."""
    rollout = make_rollout(agent) if rollout is None else rollout
    optimizer = torch.optim.SGD(agent.span_parameters(), lr=rate)
    forgetting = Forgetting(agent, optimizer, ForgettingConfig(early=early), alpha=alpha)
    for index in torch.randperm(B).chunk(parts):
        batch = rollout.select(index)
        with torch.no_grad():
            acted = agent.unroll(batch.acted_on, batch.memory)
        loss = forgetting.loss(batch, acted)
        step_optimizers([(optimizer, max_grad_norm)], loss, tensors_to_describe(batch, acted))
    return forgetting.report()


def sparse(rollout: Rollout[Any]) -> Rollout[Any]:
    """Return a rollout of few choices, which are not spread evenly, and with invalid steps."""
    choice, valid = torch.zeros(T, B, dtype=torch.bool), torch.ones(T, B, dtype=torch.bool)
    choice[:, 0], choice[3, 1], choice[6, 2] = True, True, True
    valid[5, 0] = valid[6, 2] = False
    return replace(rollout, choice=choice, valid=valid)


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("early", [0.3, 0.6])
def test_what_is_missed_is_the_mean_divergence_over_the_choices_alone(
    parts: int, early: float
) -> None:
    agent = expire_agent(max_span=8.0, ramp=6.0)
    rollout = sparse(make_rollout(agent))
    found = update(agent, rollout, rate=0.0, parts=parts, early=early)
    with torch.no_grad():
        acted, faded = (
            agent.unroll(rollout.acted_on, rollout.memory, early=e).logits for e in (0.0, early)
        )
    at = (rollout.choice & rollout.valid).nonzero().tolist()
    divergences = [naive_kl(acted[t, b], faded[t, b]) for t, b in at]
    assert len(divergences) == T
    assert found["choices"] == pytest.approx(len(divergences))
    expected = sum(divergences) / len(divergences)
    assert expected > 1e-4
    assert found["missed"] == pytest.approx(expected, rel=1e-2)


def test_without_a_choice_nothing_is_missed() -> None:
    agent = expire_agent(max_span=8.0, ramp=6.0)
    rollout = make_rollout(agent)
    found = update(agent, replace(rollout, choice=torch.zeros(T, B, dtype=torch.bool)), rate=0.0)
    assert (found["missed"], found["choices"]) == (0.0, 0.0)
    assert found["distillation"] > 0, "values differ"


def test_a_divergence_rounded_to_below_zero_can_be_saved_and_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of nearly equal policies, the KL divergence may be -1e-8 in float32."""
    agent = expire_agent(max_span=1000.0)
    rollout, unroll = make_rollout(agent), agent.unroll

    def hardly_fade(steps: Any, memory: Any, *, early: float = 0.0) -> AgentOutput:
        output = unroll(steps, memory)
        noise = 3e-7 * torch.randn(3) if early else torch.zeros_like(output.logits)
        return replace(output, logits=output.logits + noise)

    monkeypatch.setattr(agent, "unroll", hardly_fade)
    for _ in range(20):
        price, again = MemoryPrice(), MemoryPrice()
        use = MemoryUse.of(update(agent, rollout, rate=0.0))
        assert abs(use.missed) < 1e-6
        price.observe(100, 100, 1.0, good=None, use=use)
        again.load_state_dict(price.state_dict())
        assert again.state_dict() == price.state_dict()


def test_the_length_reported_is_the_mean_penalty_of_the_spans() -> None:
    agent = expire_agent(max_span=20.0, ramp=4.0)
    set_spans(agent, 0.5)
    found = update(agent, rate=0.0)["span_penalty"]
    assert found == pytest.approx(math.log(1 + 20.0 * math.exp(0.5) / 4.0), rel=1e-5)


def test_an_update_changes_only_the_span_parameters() -> None:
    agent = expire_agent(max_span=20.0)
    before = copy_of(agent)
    update(agent)
    changed = {name for name, x in agent.state_dict().items() if not torch.equal(x, before[name])}
    assert changed == {"layers.0.lifetime.head.weight", "layers.0.lifetime.head.bias"}


def test_a_loss_that_is_not_finite_changes_nothing_and_describes_the_batch() -> None:
    agent = expire_agent(max_span=20.0)
    with torch.no_grad():
        agent.heads.value.bias.fill_(math.nan)
    before = copy_of(agent)
    with pytest.raises(NonFiniteLossError) as caught:
        update(agent)
    assert caught.value.description["value"]["nonfinite"] == T * B // 2
    assert caught.value.description["logits"]["nonfinite"] == 0
    for name, x in agent.state_dict().items():
        torch.testing.assert_close(x, before[name], rtol=0, atol=0, equal_nan=True)


def test_what_is_missed_stays_finite_where_a_minibatch_is_not() -> None:
    agent = expire_agent(max_span=8.0, ramp=6.0)
    rollout = make_rollout(agent)
    forgetting = Forgetting(
        agent, torch.optim.SGD(agent.span_parameters(), lr=0.0), ForgettingConfig(), alpha=0.1
    )
    acted = agent.unroll(rollout.acted_on, rollout.memory)
    bad = replace(acted, logits=torch.full_like(acted.logits, math.nan))
    assert not torch.isfinite(forgetting.loss(rollout, bad))
    forgetting.loss(rollout, acted)
    report = forgetting.report()
    assert 0 < report["missed"] < math.inf
    assert math.isfinite(report["span_penalty"])


def mean_span(agent: Any) -> float:
    steps = random_steps(T, B, seed=9, first=[(0, b) for b in range(B)])
    return float(agent.unroll(steps, agent.initial_memory(B)).spans.mean().detach())


def test_the_penalty_shortens_spans_that_are_not_needed() -> None:
    spans = {}
    for alpha in (0.0, 0.1):
        agent = expire_agent(max_span=1000.0)
        set_spans(agent, 0.0)
        for _ in range(3):
            update(agent, alpha=alpha, max_grad_norm=10.0)
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
        loss = distillation_loss(agent, rollout, early)
        assert (loss.item() > 1e-6) == (early > 0)
        loss.backward()
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
        update(agent, alpha=1.0, rate=0.0, parts=1, max_grad_norm=math.inf)
        grad = agent.span_parameters()[1].grad
        assert grad is not None
        gradients.append(float(grad))
    assert gradients == pytest.approx([gradients[0]] * 3, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_spans_of_zero_do_not_change_any_weight(alpha: float) -> None:
    agent = expire_agent(max_span=1000.0)
    set_spans(agent, -1000.0)
    before = copy_of(agent)
    update(agent, alpha=alpha)
    for name, x in agent.state_dict().items():
        torch.testing.assert_close(x, before[name], rtol=1e-5, atol=1e-5)
