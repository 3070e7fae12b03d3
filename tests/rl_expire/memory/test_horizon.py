"""The horizon: lifetimes and ages beyond those that occurred in training."""

import math

import pytest
import torch
from torch import Tensor

from rl_expire.memory.horizon import LONGEST, STRETCH, Horizon
from rl_expire.memory.lifetime import ExpireSpan


def horizon_at(age: float) -> Horizon:
    """Return a horizon at `age` steps; 0: nothing is recorded."""
    horizon = Horizon()
    if age:
        horizon.record(torch.tensor([1.0, age]))
    return horizon


def lifetime(span: float, age: float) -> float:
    return float(horizon_at(age).lifetimes(torch.tensor(span)))


def test_the_greatest_age_of_all_is_recorded() -> None:
    horizon = Horizon()
    seen = []
    for ages in (torch.tensor([3, 7, 5]), torch.tensor([[2.0], [6.0]]), torch.tensor(9)):
        horizon.record(ages)
        seen.append(float(horizon.tested))
    assert seen == [7.0, 7.0, 9.0]
    assert horizon.tested.dtype == torch.float32


def test_an_age_is_recorded_even_without_gradients_and_has_none() -> None:
    horizon = horizon_at(3)
    assert not horizon.tested.requires_grad
    assert list(horizon.parameters()) == []


def test_before_an_age_is_recorded_nothing_changes() -> None:
    horizon = horizon_at(0)
    spans = torch.tensor([0.0, 0.5, 30.0, 1e6, 1e20, -math.inf])
    assert torch.equal(horizon.lifetimes(spans), spans)
    ages = torch.tensor([[-2, 0, 5, 10**6]])
    assert torch.equal(horizon.ages(ages), ages.float())


@pytest.mark.parametrize("age", [0.5, 1.0, 40.0, 1e5])
def test_lifetimes_up_to_the_greatest_age_stay_as_they_are(age: float) -> None:
    spans = torch.tensor([-math.inf, 0.0, 0.01 * age, 0.5 * age, age])
    assert torch.equal(horizon_at(age).lifetimes(spans), spans)


@pytest.mark.parametrize(("span", "age"), [(44.0, 40.0), (50.0, 40.0), (57.0, 40.0), (2.5, 2.0)])
def test_lifetimes_beyond_it_are_stretched_by_a_power_of_the_excess(
    span: float, age: float
) -> None:
    assert lifetime(span, age) == pytest.approx(span * (span / age) ** STRETCH, rel=1e-4)


@pytest.mark.parametrize("age", [10.0, 100.0, 1e4])
def test_a_lifetime_of_a_memory_needed_at_the_greatest_age_becomes_a_thousand_times_longer(
    age: float,
) -> None:
    """It fades once 0.3 of its lifetime is left: the lifetime is 1 / 0.7 = 1.43 times the age."""
    span = age / 0.7
    assert 800 < lifetime(span, age) / span < 1500
    assert 800 < lifetime(1.4 * age, age) / age < 1500


@pytest.mark.parametrize("age", [0.3, 1.0, 40.0, 5e8, 1e12])
def test_a_longer_span_never_gives_a_shorter_lifetime(age: float) -> None:
    spans = torch.cat([torch.linspace(0, 3 * age, 2001), torch.logspace(-3, 30, 2001)])
    spans = spans.sort().values
    lifetimes = horizon_at(age).lifetimes(spans)
    assert (lifetimes.diff() >= 0).all()
    assert (lifetimes >= spans).all(), "nor is any lifetime shortened"


@pytest.mark.parametrize("span", [1e3, 1e9, 1e20, 3e38])
@pytest.mark.parametrize("age", [1.0, 7.0])
def test_lifetimes_are_finite_however_great_the_excess(span: float, age: float) -> None:
    assert lifetime(span, age) == pytest.approx(max(span, LONGEST))


def test_ages_beyond_the_greatest_of_training_are_clipped_to_it() -> None:
    ages = horizon_at(7).ages(torch.tensor([[-3, 0, 6, 7, 8, 10**9]]))
    assert ages.tolist() == [[-3, 0, 6, 7, 7, 7]]


def expire_span() -> ExpireSpan:
    """Return lifetimes of 2 to 18 of at most 20 steps, with a greatest age of 8."""
    lifetime = ExpireSpan(
        3, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="linear", span_cost="mean"
    )
    with torch.no_grad():
        lifetime.head.weight.copy_(torch.tensor([-2.2, 0.0, 2.2]))
    lifetime.record_ages(torch.tensor([8, 2]))
    return lifetime


def states() -> Tensor:
    return torch.eye(3).unsqueeze(0)


@pytest.mark.parametrize("early", [0.0, None], ids=["actor", "teacher"])
def test_actor_and_teacher_see_stretched_lifetimes(early: float | None) -> None:
    lifetime = expire_span()
    short, middle, long = lifetime(states(), early=early)[0].tolist()
    assert short == pytest.approx(20 / (1 + math.exp(2.2)))
    assert middle == pytest.approx(10 * (10 / 8) ** STRETCH, rel=1e-4)
    assert long > 1e6


def test_a_student_whose_memories_fade_ahead_of_time_sees_the_spans_as_they_are() -> None:
    lifetime = expire_span()
    spans = lifetime(states(), early=0.3)
    assert torch.equal(spans, lifetime.head(states()))
    assert float(spans.max().detach()) < 20
    (gradient,) = torch.autograd.grad(spans.sum(), lifetime.head.bias)
    assert gradient.isfinite()
    assert gradient > 0


def test_the_penalty_is_on_spans_as_they_are() -> None:
    lifetime = expire_span()
    before = float(lifetime.span_penalty(states()).detach())
    lifetime.record_ages(torch.tensor(1000))
    assert float(lifetime.span_penalty(states()).detach()) == before


def test_the_greatest_age_is_part_of_the_state_dict() -> None:
    lifetime = expire_span()
    other = ExpireSpan(
        3, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="linear", span_cost="mean"
    )
    assert torch.equal(lifetime.state_dict()["horizon.tested"], torch.tensor(8.0))
    other.load_state_dict(lifetime.state_dict())
    assert torch.equal(other(states()), lifetime(states()))
