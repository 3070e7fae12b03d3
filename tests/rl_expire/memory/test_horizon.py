"""The horizon: lifetimes and ages beyond those that training tests."""

import math

import pytest
import torch
from torch import Tensor

from rl_expire.memory.horizon import FOR_GOOD, LONGEST, Horizon
from rl_expire.memory.lifetime import ExpireSpan


def horizon_at(age: float) -> Horizon:
    """Return a horizon at `age` steps; 0: it is not known."""
    horizon = Horizon()
    horizon.set(age)
    return horizon


def lifetime(span: float, age: float) -> float:
    return float(horizon_at(age).lifetimes(torch.tensor(span)))


def test_the_last_horizon_counts() -> None:
    horizon = Horizon()
    assert float(horizon.tested) == 0
    seen = []
    for age in (7.0, 9.0, 3.5):
        horizon.set(age)
        seen.append(float(horizon.tested))
    assert seen == [7.0, 9.0, 3.5]
    assert horizon.tested.dtype == torch.float32


def test_a_horizon_is_no_parameter_and_has_no_gradient() -> None:
    horizon = horizon_at(3)
    assert not horizon.tested.requires_grad
    assert list(horizon.parameters()) == []


def test_before_it_is_known_nothing_changes() -> None:
    horizon = horizon_at(0)
    spans = torch.tensor([0.0, 0.5, 30.0, 1e6, 1e20, -math.inf])
    assert torch.equal(horizon.lifetimes(spans), spans)
    ages = torch.tensor([[-2, 0, 5, 10**6]])
    assert torch.equal(horizon.ages(ages), ages.float())


@pytest.mark.parametrize("age", [0.5, 1.0, 40.0, 1e5])
def test_lifetimes_up_to_the_horizon_stay_as_they_are(age: float) -> None:
    spans = torch.tensor([-math.inf, 0.0, 0.01 * age, 0.5 * age, age])
    assert torch.equal(horizon_at(age).lifetimes(spans), spans)


@pytest.mark.parametrize(("span", "age"), [(40.01, 40.0), (50.0, 40.0), (1e5, 40.0), (2.5, 2.0)])
def test_lifetimes_beyond_it_do_not_end(span: float, age: float) -> None:
    assert lifetime(span, age) == LONGEST > FOR_GOOD


@pytest.mark.parametrize(("span", "age"), [(275.0, 198.0), (226.0, 196.0)])
def test_cues_that_two_agents_had_lost_are_kept(span: float, age: float) -> None:
    """Spans learned in the corridor of 200, where single episodes lasted for 391 and 225 steps."""
    assert lifetime(span, age) == LONGEST


@pytest.mark.parametrize("age", [0.3, 1.0, 40.0, 5e8, 1e12])
def test_a_longer_span_never_gives_a_shorter_lifetime(age: float) -> None:
    spans = torch.cat([torch.linspace(0, 3 * age, 2001), torch.logspace(-3, 30, 2001)])
    spans = spans.sort().values
    lifetimes = horizon_at(age).lifetimes(spans)
    assert (lifetimes.diff() >= 0).all()
    assert (lifetimes >= spans).all(), "nor is any lifetime shortened"


def test_single_precision_tells_the_steps_of_what_is_kept_for_good_apart() -> None:
    remaining = torch.tensor(LONGEST) - torch.tensor([0.0, 1.0, 2.0])
    assert remaining.tolist() == [LONGEST, LONGEST - 1, LONGEST - 2]


def test_ages_beyond_the_horizon_are_clipped_to_it() -> None:
    ages = horizon_at(7).ages(torch.tensor([[-3, 0, 6, 7, 8, 10**9]]))
    assert ages.tolist() == [[-3, 0, 6, 7, 7, 7]]


def expire_span() -> ExpireSpan:
    """Return lifetimes of 2 to 18 of at most 20 steps, with a horizon of 8."""
    lifetime = ExpireSpan(
        3, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="linear", span_cost="mean"
    )
    with torch.no_grad():
        lifetime.head.weight.copy_(torch.tensor([-2.2, 0.0, 2.2]))
    lifetime.set_horizon(8.0)
    return lifetime


def states() -> Tensor:
    return torch.eye(3).unsqueeze(0)


def test_an_actor_keeps_for_good_what_lives_beyond_the_horizon() -> None:
    short, middle, long = expire_span()(states())[0].tolist()
    assert short == pytest.approx(20 / (1 + math.exp(2.2)))
    assert middle == long == LONGEST


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
    lifetime.set_horizon(1000.0)
    assert float(lifetime.span_penalty(states()).detach()) == before


def test_the_horizon_is_part_of_the_state_dict() -> None:
    lifetime = expire_span()
    other = ExpireSpan(
        3, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="linear", span_cost="mean"
    )
    assert torch.equal(lifetime.state_dict()["horizon.tested"], torch.tensor(8.0))
    other.load_state_dict(lifetime.state_dict())
    assert torch.equal(other(states()), lifetime(states()))
