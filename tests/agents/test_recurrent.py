"""LSTM and GRU: one fused call over a segment equals stepping, wherever episodes start in it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents import GRU, LSTM, GRUConfig, LSTMConfig
from agents.gru import GRULayer
from agents.lstm import LSTMLayer
from agents.recurrent import RecurrentAgent, RecurrentLayer, States
from agents.recurrent.layer import run_segment
from tests.support import ACTIONS, VECTOR, act_over, random_steps, stirred

T, B = 12, 4


both = pytest.mark.parametrize("name", ["lstm", "gru"])


def make_agent(name: str, layers: int = 1) -> RecurrentAgent:
    """Return an agent with noise on all weights."""
    torch.manual_seed(0)
    if name == "lstm":
        return stirred(LSTM(VECTOR, ACTIONS, LSTMConfig(width=8, layers=layers)))
    return stirred(GRU(VECTOR, ACTIONS, GRUConfig(width=8, layers=layers)))


def naive(layer: RecurrentLayer, inputs: Tensor, is_first: Tensor, states: States) -> Tensor:
    """Run the core row by row and step by step."""
    rows = []
    for b in range(inputs.shape[1]):
        state = tuple(x[None, b : b + 1] for x in states)
        outputs = []
        for t in range(inputs.shape[0]):
            if is_first[t, b]:
                state = tuple(torch.zeros_like(x) for x in state)
            out, state = layer.run_core(inputs[t : t + 1, b : b + 1], state)
            outputs.append(out[0, 0])
        rows.append(torch.stack(outputs))
    return torch.stack(rows, dim=1)


@both
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
def test_fused_equals_step_by_step(first: list[tuple[int, int]], name: str) -> None:
    # In double precision, so that rounding errors are far below any real difference.
    torch.manual_seed(0)
    layer = make_agent(name).double().layers[0]
    assert isinstance(layer, RecurrentLayer)
    is_first = random_steps(T, B, first=first).is_first
    states = tuple(torch.randn(len(layer.STATES), B, 8, dtype=torch.float64))
    inputs = torch.randn(T, B, 8, dtype=torch.float64)
    results = []
    for fused in (True, False):
        layer.zero_grad()
        given = inputs.clone().requires_grad_()
        if fused:
            out = run_segment(layer.run_core, given, is_first, states)
        else:
            out = naive(layer, given, is_first, states)
        (out * torch.arange(1.0, T + 1).view(T, 1, 1)).sum().backward()
        weights = [p.grad.clone() for p in layer.core.parameters() if p.grad is not None]
        assert given.grad is not None
        results.append((out.detach(), given.grad, weights))
    (out, grad, weights), (other, other_grad, other_weights) = results
    torch.testing.assert_close(out, other, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(grad, other_grad, atol=1e-9, rtol=1e-9)
    assert len(weights) == 4
    for one, two in zip(weights, other_weights, strict=True):
        torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-9)


@both
def test_gradients_flow_through_the_segment_but_not_across_episodes(name: str) -> None:
    agent = make_agent(name)
    steps = random_steps(T, 2, first=[(4, 1)])
    assert isinstance(steps.obs, Tensor)
    obs = steps.obs.clone().requires_grad_()
    memory = agent.initial_memory(2)
    agent.unroll(replace(steps, obs=obs), memory).value[-1].sum().backward()
    assert obs.grad is not None
    reached = obs.grad.abs().sum(-1) > 0
    assert reached[:, 0].all()
    assert reached[:, 1].tolist() == [t >= 4 for t in range(T)]


@both
def test_every_episode_starts_from_zeros(name: str) -> None:
    agent = make_agent(name)
    _, _, memory = act_over(agent, random_steps(T, B), agent.initial_memory(B))
    first = random_steps(1, B, seed=1, first=[(0, b) for b in range(B)])
    after, _, _ = act_over(agent, first, memory)
    fresh, _, _ = act_over(agent, first, agent.initial_memory(B))
    assert torch.equal(after, fresh)


@pytest.mark.parametrize(("name", "states"), [("lstm", 2), ("gru", 1)])
def test_memory_is_as_many_states_per_layer_as_the_core_has(name: str, states: int) -> None:
    agent = make_agent(name, layers=2)
    memory = agent.initial_memory(B)
    assert memory.nbytes == 2 * states * B * 8 * 4
    _, _, memory = act_over(agent, random_steps(T, B), memory)
    assert memory.nbytes == 2 * states * B * 8 * 4
    assert agent.view(memory) == []
    assert agent.span_parameters() == []


def assert_time_scales(keep: Tensor, longest: int) -> Tensor:
    """Check the biases of gates that keep the state; return the times that they keep it for."""
    steps = 1 / (1 - torch.sigmoid(keep))
    assert 2 <= steps.min() < 3
    assert longest - 1 < steps.max() <= longest + 0.001
    # Drawn uniformly, as in the paper.
    assert abs(steps.mean() - (2 + longest) / 2) < 2
    return steps


def test_cells_initially_remember_for_2_to_time_scale_steps() -> None:
    """A cell with a memory of t steps forgets 1 / t of its content at every step."""
    torch.manual_seed(0)
    core = LSTMLayer(LSTMConfig(width=512, time_scale=50)).core
    _, _, bias, other_bias = core.all_weights[0]
    input_gate, forget_gate, candidate, output = (bias + other_bias).detach().chunk(4)
    steps = assert_time_scales(forget_gate, 50)
    torch.testing.assert_close(torch.sigmoid(input_gate), 1 / steps)
    assert not candidate.any()
    assert not output.any()


def test_a_gru_initially_remembers_for_2_to_time_scale_steps() -> None:
    torch.manual_seed(1)
    layer = GRULayer(GRUConfig(width=512, time_scale=50))
    _, _, bias, other_bias = layer.core.all_weights[0]
    reset, keep, candidate = (bias + other_bias).detach().chunk(3)
    steps = assert_time_scales(keep, 50)
    assert not reset.any()
    assert not candidate.any()
    # Without inputs and recurrent weights, a state loses 1 / t of itself at every step.
    with torch.no_grad():
        for weight in layer.core.all_weights[0][:2]:
            weight.zero_()
        _, (state,) = layer.run_core(torch.zeros(1, 1, 512), (torch.ones(1, 1, 512),))
    torch.testing.assert_close(state[0, 0], 1 - 1 / steps)
