"""Value head: its statistics against a naive reference; updates keep all values."""

import numpy as np
import pytest
import torch

from agents.blocks.value_head import UPDATE_RATE, ValueHead
from tests.support import AGENTS, Make, random_steps

ONE = torch.tensor(1.0)


def states(count: int = 50) -> torch.Tensor:
    """Return the same random states `[count, 8]` every time."""
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(0))


def test_initially_an_ordinary_linear_layer() -> None:
    head = ValueHead(8)
    expected = torch.nn.functional.linear(states(), head.weight, head.bias).squeeze(-1)
    assert torch.equal(head(states()), expected)


def test_statistics_cover_all_returns_equally_then_decay() -> None:
    head, random = ValueHead(8), np.random.default_rng(0)
    # Weights of the batches: equal until 1 / n falls below UPDATE_RATE, then decaying.
    batches = [random.normal(300 + 10 * n, 40, 64).astype(np.float32) for n in range(60)]
    weights = np.zeros(0)
    for n, batch in enumerate(batches, 1):
        head.update_stats(torch.from_numpy(batch), ONE)
        share = max(UPDATE_RATE, 1 / n)
        weights = np.append(weights * (1 - share), share)
        each = np.repeat(weights / 64, 64)
        seen = np.concatenate(batches[:n]).astype(np.float64)
        mean = float((each * seen).sum())
        assert float(head.mean) == pytest.approx(mean, rel=1e-4)
        deviation = float(np.sqrt((each * (seen - mean) ** 2).sum()))
        assert float(head.scale) == pytest.approx(deviation, rel=1e-3)


@pytest.mark.parametrize("returns", [0.0, 5.0, -4000.0])
def test_updates_keep_all_values(returns: float) -> None:
    head = ValueHead(8)
    before = head(states())
    for _ in range(5):
        head.update_stats(returns * torch.rand(100) + returns, ONE)
        torch.testing.assert_close(
            head(states()), before, rtol=1e-4, atol=1e-3 + 1e-6 * abs(returns)
        )


def test_small_returns_are_not_scaled_up() -> None:
    head = ValueHead(8)
    for _ in range(50):
        head.update_stats(0.01 * torch.rand(100), min_scale=5 * ONE)
    assert float(head.scale) == 5


def test_all_values_can_be_multiplied() -> None:
    head = ValueHead(8)
    head.update_stats(torch.tensor([3.0, 5.0]), ONE)
    before = head(states())
    head.multiply(1000 * ONE)
    torch.testing.assert_close(head(states()), 1000 * before, rtol=1e-4, atol=1e-3)


def test_large_returns_are_learned_as_fast_as_small_ones() -> None:
    """300 steps of Adam on two states whose returns are 500 apart, with and without updates."""
    kinds = torch.eye(8)[:2]
    returns = torch.tensor([200.0, 700.0])
    errors = {}
    for updates in (False, True):
        torch.manual_seed(0)
        head = ValueHead(8)
        optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
        for _ in range(300):
            if updates:
                head.update_stats(returns, ONE)
            optimizer.zero_grad()
            ((head(kinds) - returns) / head.scale).pow(2).mean().backward()
            optimizer.step()
        errors[updates] = float((head(kinds) - returns).abs().max().detach())
    assert errors[True] < 25
    assert errors[False] > 150


@pytest.mark.parametrize("make", AGENTS.values(), ids=AGENTS.keys())
def test_every_agent_updates_its_value_statistics(make: Make) -> None:
    agent = make()
    steps = random_steps(6, 3, first=[(0, 0), (0, 1), (0, 2)])
    with torch.no_grad():
        before = agent.unroll(steps, agent.initial_memory(3))
        assert float(before.value_scale) == 1
        assert float(agent.update_value_stats(torch.tensor([100.0, 200.0]))) == pytest.approx(50)
        after = agent.unroll(steps, agent.initial_memory(3))
    assert float(after.value_scale) == pytest.approx(50)
    torch.testing.assert_close(after.value, before.value, atol=1e-3, rtol=1e-4)
