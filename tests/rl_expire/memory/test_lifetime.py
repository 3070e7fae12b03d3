"""Lifetimes by hand: learned per state, a fixed window, and a learned window per head."""

import math

import pytest
import torch
from torch import Tensor

from rl_expire.memory.expire_span import Fade
from rl_expire.memory.lifetime import ExpireSpan, FixedWindow, HeadWindows, Lifetime, SpanCost

INF = math.inf


def expire_span(span_cost: SpanCost = "mean", shape: Fade = "linear") -> ExpireSpan:
    """Return lifetimes of 5 of at most 20 steps, with a ramp of 4."""
    return ExpireSpan(
        4, max_span=20.0, initial_fraction=0.25, ramp=4.0, fade_shape=shape, span_cost=span_cost
    )


def head_windows(*lengths: float) -> HeadWindows:
    """Return windows of the given lengths, at most 20 steps, with a ramp of 4."""
    windows = HeadWindows(
        len(lengths), max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="linear"
    )
    with torch.no_grad():
        windows.bias.copy_(torch.tensor([math.log(z / (20.0 - z)) for z in lengths]))
    return windows


def row(*values: float) -> Tensor:
    """Return `values` as `[B, T, K]` of one environment and one step."""
    return torch.tensor(values).view(1, 1, -1)


def test_fixed_window_shows_the_current_state_and_a_fixed_number_before_it() -> None:
    lifetime = FixedWindow(2)
    age = row(0, 1, 2, 3, 4)
    spans = lifetime(torch.zeros(1, 5, 8))
    assert spans.tolist() == [[2.0] * 5]
    fade = lifetime.fade(spans.unsqueeze(1) - age, age)
    assert fade.shape == (1, 1, 1, 5)
    assert fade.flatten().tolist() == [0.0, 0.0, 0.0, -INF, -INF]


def test_fixed_window_has_no_cost_and_no_parameters() -> None:
    lifetime = FixedWindow(2)
    assert lifetime.cost(torch.ones(1, 3), torch.ones(1, 3), torch.ones(1, 3, 3)).item() == 0
    assert list(lifetime.parameters()) == []


@pytest.mark.parametrize("shape", ["linear", "log-linear"])
@pytest.mark.parametrize("lifetime", ["expire", "fixed", "heads"])
def test_free_slots_are_never_seen(lifetime: str, shape: Fade) -> None:
    lifetimes: dict[str, Lifetime] = {
        "expire": expire_span(shape=shape),
        "fixed": FixedWindow(2),
        "heads": HeadWindows(3, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape=shape),
    }
    for early in (0.0, 0.3):
        fade = lifetimes[lifetime].fade(row(-INF, -INF), row(0, 1), early)
        assert (fade == -INF).all()
    assert fade.shape == (1, 3 if lifetime == "heads" else 1, 1, 2)


def test_every_state_has_its_own_lifetime() -> None:
    lifetime = expire_span()
    states = torch.eye(4).unsqueeze(0)
    torch.testing.assert_close(lifetime(states), torch.full((1, 4), 5.0))
    with torch.no_grad():
        lifetime.head.bias.zero_()
        lifetime.head.weight.copy_(torch.tensor([0.0, math.log(3.0), -math.log(3.0), 0.0]))
    torch.testing.assert_close(lifetime(states), torch.tensor([[10.0, 15.0, 5.0, 10.0]]))


@pytest.mark.parametrize(
    ("shape", "expected"), [("linear", [0.0, 0.0, math.log(0.5), -INF]), ("log-linear", None)]
)
def test_memories_fade_over_the_ramp_and_are_then_dropped(
    shape: Fade, expected: list[float] | None
) -> None:
    fade = expire_span(shape=shape).fade(row(3, 0, -2, -4), row(0, 1, 2, 3)).flatten()
    torch.testing.assert_close(fade, torch.tensor(expected or [0.0, 0.0, -5.0, -INF]))


def test_early_fading_is_proportional_to_each_lifetime() -> None:
    # Fading starts after 7.5 of 10 and 6 of 8 steps: 0.5 and 2 steps ago, ramps of 6.5 and 6.
    fade = expire_span(shape="log-linear").fade(row(2, 0), row(8, 8), 0.25)[0, 0, 0]
    torch.testing.assert_close(fade, torch.tensor([-10 * 0.5 / 6.5, -10 * 2 / 6]))
    windows = HeadWindows(2, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="log-linear")
    with torch.no_grad():
        windows.bias.copy_(torch.tensor([math.log(z / (20.0 - z)) for z in (10.0, 8.0)]))
    fade = windows.fade(row(2), row(8), 0.25)[0, :, 0, 0]
    torch.testing.assert_close(fade, torch.tensor([-10 * 0.5 / 6.5, -10 * 2 / 6]))


def test_cost_of_memory() -> None:
    own, spans = torch.tensor([[2.0, 4.0]]), torch.tensor([[8.0, 2.0, 4.0]])
    # On the ramp: the second memory at both steps, the first one at the second step only.
    remaining = torch.tensor([[[0.0, -1.0, 4.0], [-1.0, -2.0, INF]]])
    assert expire_span("mean").cost(own, spans, remaining).item() == 3.0
    assert expire_span("ramp").cost(own, spans, remaining).item() == (2 + (8 + 2)) / 2 / 4
    assert head_windows(2.0, 6.0).cost(own, spans, remaining).item() == pytest.approx(4.0)


def test_span_penalty_by_hand() -> None:
    states = torch.eye(4).unsqueeze(0)
    # Spans of 5, 2 and 6 of at most 20 steps: log(1 + o / R) with o = e / (1 - e / 20).
    lifetime, windows = expire_span(), head_windows(2.0, 6.0)
    assert lifetime.span_penalty(states).item() == pytest.approx(
        math.log1p(5 / (1 - 5 / 20) / lifetime.ramp)
    )
    expected = [math.log1p(e / (1 - e / windows.max_span) / windows.ramp) for e in (2.0, 6.0)]
    assert windows.span_penalty(states).item() == pytest.approx(sum(expected) / 2)
    assert FixedWindow(3).span_penalty(states).item() == 0


def test_calibration_does_not_change_initial_lifetimes() -> None:
    hidden = torch.randn(3, 7, 4) * 5 + 2
    for lifetime in (expire_span(), FixedWindow(3), head_windows(2.0, 6.0)):
        before = lifetime(hidden)
        lifetime.calibrate(hidden)
        torch.testing.assert_close(lifetime(hidden), before)
    lifetime = expire_span()
    lifetime.calibrate(hidden)
    torch.testing.assert_close(lifetime.head.center, hidden.flatten(0, 1).mean(0))


def test_states_are_held_for_the_longest_window_and_seen_through_each() -> None:
    lifetime = head_windows(2.0, 6.0)
    age = row(0, 2, 4, 6, 8, 9, 10)
    spans = lifetime(torch.zeros(1, 7, 8))
    torch.testing.assert_close(spans, torch.full((1, 7), 6.0))
    mask = lifetime.fade(spans.unsqueeze(1) - age, age).exp()[0, :, 0]
    expected = torch.tensor([[1, 1, 0.5, 0, 0, 0, 0], [1, 1, 1, 1, 0.5, 0.25, 0]])
    torch.testing.assert_close(mask, expected, atol=1e-5, rtol=1e-5)


def test_a_window_receives_gradient_only_from_memories_on_its_own_ramp() -> None:
    lifetime = head_windows(2.0, 6.0)
    age = row(0, 3, 8)
    remaining = lifetime(torch.zeros(1, 3, 8)).unsqueeze(1) - age
    fade = lifetime.fade(remaining, age)[0, :, 0]
    # log m = log(1 + (z - age) / R) changes by 1 / (R + z - age) a step of window z, and z itself
    # by z (1 - z / L) with its bias.
    for head, place, window in ((0, 1, 2.0), (1, 2, 6.0)):
        (grad,) = torch.autograd.grad(fade[head, place], lifetime.bias, retain_graph=True)
        by_hand = torch.zeros(2)
        by_hand[head] = window * (1 - window / 20.0) / (4.0 + window - float(age[0, 0, place]))
        torch.testing.assert_close(grad, by_hand, atol=1e-5, rtol=1e-5)
    for head, place in ((0, 0), (1, 0), (1, 1)):
        (grad,) = torch.autograd.grad(fade[head, place], lifetime.bias, retain_graph=True)
        assert (grad == 0).all()
