"""Transformer-XL: a layer sees exactly M past states; N layers reach back N * M steps."""

from dataclasses import replace

import pytest
import torch

from agents import Memoryless, MemorylessConfig, TransformerXL, TransformerXLConfig
from rl_expire.types import TimeStep
from tests.support import ACTIONS, VECTOR, act_over, random_steps, stirred

T, B = 24, 2


def make_agent(window: int, layers: int = 1) -> TransformerXL:
    """Return an agent with noise on all weights."""
    torch.manual_seed(0)
    config = TransformerXLConfig(width=16, heads=2, layers=layers, window=window)
    return stirred(TransformerXL(VECTOR, ACTIONS, config))


def reach(agent: TransformerXL, steps: TimeStep) -> int:
    """Return how many steps back a change of the observation changes the last logits."""
    assert isinstance(steps.obs, torch.Tensor)
    with torch.no_grad():
        before = agent.unroll(steps, agent.initial_memory(B)).logits[-1]
        changed = []
        for back in range(T):
            obs = steps.obs.clone()
            obs[T - 1 - back] += 1.0
            other = agent.unroll(replace(steps, obs=obs), agent.initial_memory(B)).logits[-1]
            changed.append(bool((other - before).abs().max() > 1e-7))
    assert changed == sorted(changed, reverse=True), "the reach has a hole"
    return sum(changed) - 1


@pytest.mark.parametrize(("window", "layers"), [(0, 1), (1, 1), (3, 1), (1, 3), (5, 2)])
def test_n_layers_reach_back_exactly_n_windows(window: int, layers: int) -> None:
    steps = random_steps(T, B, first=[(0, b) for b in range(B)])
    assert reach(make_agent(window, layers), steps) == window * layers


@pytest.mark.parametrize("window", [0, 1, 4])
def test_each_layer_holds_the_window_and_the_current_state(window: int) -> None:
    agent = make_agent(window, layers=2)
    memory = agent.initial_memory(B)
    for t in range(T):
        step = random_steps(1, B, seed=t, first=[(0, 0), (0, 1)] if t == 0 else [])
        _, _, memory = act_over(agent, step, memory)
        for view in agent.view(memory):
            for b in range(B):
                ages = sorted(view.age[b][view.held[b]].tolist())
                assert ages == list(range(min(t, window) + 1))
            assert view.age.shape[1] <= window + 1
            assert set(view.mask.unique().tolist()) <= {0.0, 1.0}
            torch.testing.assert_close(view.attention.sum(-1), torch.ones(B, 2))


def test_a_window_of_zero_equals_the_memoryless_agent() -> None:
    agent = make_agent(0)
    control = Memoryless(VECTOR, ACTIONS, MemorylessConfig(width=16, heads=2))
    control.load_state_dict(agent.state_dict())
    steps = random_steps(T, B, first=[(0, 0), (7, 1)])
    with torch.no_grad():
        one = agent.unroll(steps, agent.initial_memory(B))
        other = control.unroll(steps, control.initial_memory(B))
    assert torch.equal(one.logits, other.logits)


def test_gradients_flow_through_the_whole_segment_but_not_before_it() -> None:
    agent = make_agent(window=6)
    _, _, memory = act_over(agent, random_steps(8, B), agent.initial_memory(B))
    steps = random_steps(5, B, seed=1)
    assert isinstance(steps.obs, torch.Tensor)
    obs = steps.obs.clone().requires_grad_()
    agent.unroll(replace(steps, obs=obs), memory).logits[-1].sum().backward()
    assert obs.grad is not None
    assert (obs.grad.abs().sum((1, 2)) > 0).all()
    assert not memory.layers[0].hidden.requires_grad


def test_there_are_no_span_parameters() -> None:
    assert make_agent(3).span_parameters() == []
