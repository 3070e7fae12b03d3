"""LSTM: one fused call over a segment equals stepping, wherever episodes start in it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from agents import LSTM, LSTMConfig
from agents.lstm import LSTMLayer, run_lstm
from tests.support import ACTIONS, VECTOR, act_over, random_steps, stirred

T, B = 12, 4


def make_agent(layers: int = 1) -> LSTM:
    """Return an agent with noise on all weights."""
    torch.manual_seed(0)
    return stirred(LSTM(VECTOR, ACTIONS, LSTMConfig(width=8, layers=layers)))


def naive(core: nn.LSTM, inputs: Tensor, is_first: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
    """Run the LSTM row by row and step by step."""
    rows = []
    for b in range(inputs.shape[1]):
        state = (hidden[None, b : b + 1], cell[None, b : b + 1])
        outputs = []
        for t in range(inputs.shape[0]):
            if is_first[t, b]:
                state = (torch.zeros_like(state[0]), torch.zeros_like(state[1]))
            out, state = core(inputs[t : t + 1, b : b + 1], state)
            outputs.append(out[0, 0])
        rows.append(torch.stack(outputs))
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize(
    "first",
    [
        [],
        [(0, 0), (0, 2)],
        [(5, 1)],
        [(0, 0), (1, 0), (2, 0), (11, 3)],
        [(t, b) for t in range(T) for b in range(B)],
    ],
    ids=["nowhere", "at the start", "inside", "in a row", "everywhere"],
)
def test_fused_equals_step_by_step(first: list[tuple[int, int]]) -> None:
    # In double precision, so that rounding errors are far below any real difference.
    torch.manual_seed(0)
    core = nn.LSTM(8, 8).double()
    is_first = random_steps(T, B, first=first).is_first
    hidden, cell = torch.randn(2, B, 8, dtype=torch.float64)
    inputs = torch.randn(T, B, 8, dtype=torch.float64)
    results = []
    for run in (run_lstm, naive):
        core.zero_grad()
        given = inputs.clone().requires_grad_()
        out = run(core, given, is_first, hidden, cell)
        (out * torch.arange(1.0, T + 1).view(T, 1, 1)).sum().backward()
        weights = [p.grad.clone() for p in core.parameters() if p.grad is not None]
        assert given.grad is not None
        results.append((out.detach(), given.grad, weights))
    (out, grad, weights), (other, other_grad, other_weights) = results
    torch.testing.assert_close(out, other, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(grad, other_grad, atol=1e-9, rtol=1e-9)
    assert len(weights) == 4
    for one, two in zip(weights, other_weights, strict=True):
        torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-9)


def test_gradients_flow_through_the_segment_but_not_across_episodes() -> None:
    agent = make_agent()
    steps = random_steps(T, 2, first=[(4, 1)])
    assert isinstance(steps.obs, Tensor)
    obs = steps.obs.clone().requires_grad_()
    memory = agent.initial_memory(2)
    agent.unroll(replace(steps, obs=obs), memory).value[-1].sum().backward()
    assert obs.grad is not None
    reached = obs.grad.abs().sum(-1) > 0
    assert reached[:, 0].all()
    assert reached[:, 1].tolist() == [t >= 4 for t in range(T)]


def test_every_episode_starts_from_zeros() -> None:
    agent = make_agent()
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    first = random_steps(1, B, seed=1, first=[(0, b) for b in range(B)])
    after, _, _ = act_over(agent, first, memory)
    fresh, _, _ = act_over(agent, first, agent.initial_memory(B))
    assert torch.equal(after, fresh)


def test_memory_is_two_states_per_layer_at_any_time() -> None:
    agent = make_agent(layers=2)
    memory = agent.initial_memory(B)
    assert memory.nbytes == 2 * 2 * B * 8 * 4
    _, _, memory = act_over(agent, random_steps(T, B), memory)
    assert memory.nbytes == 2 * 2 * B * 8 * 4
    assert agent.view(memory) == []
    assert agent.span_parameters() == []


def test_cells_initially_remember_for_2_to_time_scale_steps() -> None:
    """A cell with a memory of t steps forgets 1 / t of its content at every step."""
    torch.manual_seed(0)
    core = LSTMLayer(LSTMConfig(width=512, time_scale=50)).core
    _, _, bias, other_bias = core.all_weights[0]
    input_gate, forget_gate, candidate, output = (bias + other_bias).detach().chunk(4)
    steps = 1 / (1 - torch.sigmoid(forget_gate))
    assert 2 <= steps.min() < 3
    assert 49 < steps.max() <= 50.001
    # Drawn uniformly, as in the paper.
    assert 24 < steps.mean() < 28
    torch.testing.assert_close(torch.sigmoid(input_gate), 1 / steps)
    assert not candidate.any()
    assert not output.any()
