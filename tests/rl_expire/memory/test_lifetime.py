"""Lifetimes by hand: of every state, of a fixed window, and of windows a head."""

import math

import pytest
import torch
from torch import Tensor

from rl_expire.memory.expire_span import Fade
from rl_expire.memory.lifetime import ExpireSpan, FixedWindow, HeadWindows, Lifetime, SpanCost

INF = math.inf


def expire_span(paid: SpanCost = "mean", shape: Fade = "linear") -> ExpireSpan:
    return ExpireSpan(
        4, max_span=20.0, initial_fraction=0.25, ramp=4.0, fade_shape=shape, span_cost=paid
    )


def head_windows(*lengths: float) -> HeadWindows:
    """Windows of the given lengths, in steps, of at most 20, with a ramp of 4."""
    made = HeadWindows(
        len(lengths), max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="linear"
    )
    with torch.no_grad():
        made.bias.copy_(torch.tensor([math.log(z / (20.0 - z)) for z in lengths]))
    return made


def row(*values: float) -> Tensor:
    """`[B, T, K]` of one environment and one step."""
    return torch.tensor(values).view(1, 1, -1)


def test_a_fixed_window_shows_the_present_and_so_many_states_before_it() -> None:
    lifetime = FixedWindow(2)
    age = row(0, 1, 2, 3, 4)
    spans = lifetime(torch.zeros(1, 5, 8))
    assert spans.tolist() == [[2.0] * 5]
    fade = lifetime.fade(spans.unsqueeze(1) - age, age)
    assert fade.shape == (1, 1, 1, 5)
    assert fade.flatten().tolist() == [0.0, 0.0, 0.0, -INF, -INF]


def test_a_fixed_window_costs_nothing_and_learns_nothing() -> None:
    lifetime = FixedWindow(2)
    assert lifetime.cost(torch.ones(1, 3), torch.ones(1, 3), torch.ones(1, 3, 3)).item() == 0
    assert list(lifetime.parameters()) == []


@pytest.mark.parametrize("shape", ["linear", "log-linear"])
@pytest.mark.parametrize("lifetime", ["expire", "fixed", "heads"])
def test_a_free_slot_is_never_seen_whatever_its_age(lifetime: str, shape: Fade) -> None:
    made: dict[str, Lifetime] = {
        "expire": expire_span(shape=shape),
        "fixed": FixedWindow(2),
        "heads": HeadWindows(3, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape=shape),
    }
    for early in (0.0, 0.3):
        fade = made[lifetime].fade(row(-INF, -INF), row(0, 1), early)
        assert (fade == -INF).all()
    assert fade.shape == (1, 3 if lifetime == "heads" else 1, 1, 2)


def test_every_state_has_a_lifetime_of_its_own() -> None:
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
def test_its_memories_fade_over_the_ramp_and_are_gone(
    shape: Fade, expected: list[float] | None
) -> None:
    fade = expire_span(shape=shape).fade(row(3, 0, -2, -4), row(0, 1, 2, 3)).flatten()
    torch.testing.assert_close(fade, torch.tensor(expected or [0.0, 0.0, -5.0, -INF]))


def test_ahead_of_time_each_memory_fades_by_its_own_lifetime() -> None:
    # Fading begins at 7.5 of 10 steps and 6 of 8, 0.5 and 2 ago; ramps of 4 + 2.5 and 4 + 2.
    fade = expire_span(shape="log-linear").fade(row(2, 0), row(8, 8), 0.25)[0, 0, 0]
    torch.testing.assert_close(fade, torch.tensor([-10 * 0.5 / 6.5, -10 * 2 / 6]))
    windows = HeadWindows(2, max_span=20.0, initial_fraction=0.5, ramp=4.0, fade_shape="log-linear")
    with torch.no_grad():
        windows.bias.copy_(torch.tensor([math.log(z / (20.0 - z)) for z in (10.0, 8.0)]))
    fade = windows.fade(row(2), row(8), 0.25)[0, :, 0, 0]
    torch.testing.assert_close(fade, torch.tensor([-10 * 0.5 / 6.5, -10 * 2 / 6]))


def test_what_remembering_costs() -> None:
    own, spans = torch.tensor([[2.0, 4.0]]), torch.tensor([[8.0, 2.0, 4.0]])
    # Two steps; on the ramp are the first memory at the second step, and the second at both.
    remaining = torch.tensor([[[0.0, -1.0, 4.0], [-1.0, -2.0, INF]]])
    assert expire_span("mean").cost(own, spans, remaining).item() == 3.0
    assert expire_span("ramp").cost(own, spans, remaining).item() == (2 + (8 + 2)) / 2 / 4
    assert head_windows(2.0, 6.0).cost(own, spans, remaining).item() == pytest.approx(4.0)


def test_what_forgetting_is_learned_by() -> None:
    states = torch.eye(4).unsqueeze(0)
    # 5 of 20 steps, and windows of 2 and 6: o = e / (1 - e / 20), over the ramp.
    lifetime, windows = expire_span(), head_windows(2.0, 6.0)
    assert lifetime.span_penalty(states).item() == pytest.approx(
        math.log1p(5 / (1 - 5 / 20) / lifetime.ramp)
    )
    expected = [math.log1p(e / (1 - e / windows.max_span) / windows.ramp) for e in (2.0, 6.0)]
    assert windows.span_penalty(states).item() == pytest.approx(sum(expected) / 2)
    assert FixedWindow(3).span_penalty(states).item() == 0


def test_measuring_does_not_move_lifetimes_before_anything_is_learned() -> None:
    hidden = torch.randn(3, 7, 4) * 5 + 2
    for lifetime in (expire_span(), FixedWindow(3), head_windows(2.0, 6.0)):
        before = lifetime(hidden)
        lifetime.calibrate(hidden)
        torch.testing.assert_close(lifetime(hidden), before)
    measured = expire_span()
    measured.calibrate(hidden)
    torch.testing.assert_close(measured.head.center, hidden.flatten(0, 1).mean(0))


def test_the_longest_window_holds_and_each_head_sees_by_its_own() -> None:
    lifetime = head_windows(2.0, 6.0)
    age = row(0, 2, 4, 6, 8, 9, 10)
    spans = lifetime(torch.zeros(1, 7, 8))
    torch.testing.assert_close(spans, torch.full((1, 7), 6.0))
    mask = lifetime.fade(spans.unsqueeze(1) - age, age).exp()[0, :, 0]
    by_hand = torch.tensor([[1, 1, 0.5, 0, 0, 0, 0], [1, 1, 1, 1, 0.5, 0.25, 0]])
    torch.testing.assert_close(mask, by_hand, atol=1e-5, rtol=1e-5)


def test_a_window_learns_from_the_memories_on_its_own_ramp_alone() -> None:
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
