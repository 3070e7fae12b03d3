"""Compressive Transformer: groups that leave the window are averaged and held for longer."""

from dataclasses import replace

import pytest
import torch

from agents import CompressiveConfig, CompressiveTransformer
from rl_expire.memory.segment import Segment
from tests.support import ACTIONS, VECTOR, act_over, random_steps, stirred

B = 2


def make_agent(window: int, rate: int, compressed: int, layers: int = 1) -> CompressiveTransformer:
    """Return an agent with noise on all weights."""
    torch.manual_seed(0)
    config = CompressiveConfig(
        width=16, heads=2, layers=layers, window=window, rate=rate, compressed=compressed
    )
    return stirred(CompressiveTransformer(VECTOR, ACTIONS, config))


def naive(t: int, window: int, rate: int, compressed: int) -> tuple[list[int], list[int]]:
    """Return the ages of single states at step t, and of the newest state of each average."""
    singles, averages = [], []
    for first in range(0, t + 1, rate):
        newest = first + rate - 1
        if t - newest <= window:
            singles += [t - w for w in range(first, newest + 1) if w <= t]
        elif t - newest <= window + rate * compressed:
            averages.append(t - newest)
    return singles, averages


@pytest.mark.parametrize(
    ("window", "rate", "compressed"), [(3, 2, 2), (0, 3, 1), (4, 1, 3), (2, 4, 2), (5, 3, 4)]
)
def test_memory_holds_the_same_states_and_averages_as_a_loop(
    window: int, rate: int, compressed: int
) -> None:
    agent = make_agent(window, rate, compressed)
    steps = random_steps(40, B, first=[(0, 0), (0, 1), (17, 1)])
    memory = agent.initial_memory(B)
    for t in range(40):
        _, _, memory = act_over(agent, steps.map(lambda x, t=t: x[t : t + 1]), memory)
        (view,) = agent.view(memory)
        for b, now in enumerate((t, t if t < 17 else t - 17)):
            singles, averages = naive(now, window, rate, compressed)
            assert sorted(view.age[b][view.held[b]].tolist()) == sorted(singles + averages)
        torch.testing.assert_close(view.attention.sum(-1), torch.ones(B, 2))


def test_an_average_is_the_mean_of_its_group() -> None:
    agent = make_agent(window=2, rate=3, compressed=2)
    steps = random_steps(12, B, first=[(0, 0), (0, 1)])
    _, _, memory = act_over(agent, steps, agent.initial_memory(B))
    slots, states = memory.layers[0], agent.embedding(steps, memory.seen)[0]
    # By step 11, the groups 0-2, 3-5 and 6-8 have left the window of 2; two averages are held.
    for newest in (5, 8):
        (at,) = torch.nonzero((slots.written_at[0] == newest) & (slots.span[0] > 0)).flatten()
        expected = states[newest - 2 : newest + 1, 0].mean(0)
        torch.testing.assert_close(slots.hidden[0, at], expected)
    held = (slots.span[0] - (11 - slots.written_at[0])) >= 0
    assert 2 not in slots.written_at[0][held].tolist()


def test_gradients_flow_through_the_averages_of_the_segment() -> None:
    window, rate, compressed = 1, 2, 2
    agent = make_agent(window, rate, compressed)
    steps = random_steps(12, B, first=[(0, 0), (0, 1)])
    assert isinstance(steps.obs, torch.Tensor)
    obs = steps.obs.clone().requires_grad_()
    agent.unroll(replace(steps, obs=obs), agent.initial_memory(B)).value[-1].sum().backward()
    assert obs.grad is not None
    reached = [bool(obs.grad[t].abs().sum() > 0) for t in range(12)]
    singles, averages = naive(11, window, rate, compressed)
    ages = singles + [age + n for age in averages for n in range(rate)]
    assert reached == [11 - t in ages for t in range(12)]
    # By hand: 10 and 11 as single states, 8-9 and 6-7 as averages.
    assert [t for t in range(12) if reached[t]] == [6, 7, 8, 9, 10, 11]


def test_time_restarts_with_every_episode() -> None:
    episode = torch.tensor([[0, 0, 1, 1, 2], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    expected = [[7, 8, 0, 1, 0], [0, 1, 2, 3, 4], [3, 4, 5, 6, 7]]
    assert Segment(episode, torch.tensor([7, 9, 3])).times().tolist() == expected


def test_slots_never_exceed_the_capacity() -> None:
    agent = make_agent(window=5, rate=3, compressed=4)
    memory = agent.initial_memory(B)
    for segment in range(6):
        steps = random_steps(20, B, seed=segment, first=[(0, 0)] if segment == 0 else [(7, 1)])
        _, _, memory = act_over(agent, steps, memory)
        assert memory.layers[0].num_slots <= agent.capacity
        if segment % 2:
            memory = agent.refresh(memory)
