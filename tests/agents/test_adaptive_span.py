"""A learned window a head, and states held while the longest reaches them."""

import math

import torch

from agents import AdaptiveSpan, AdaptiveSpanConfig
from rl_expire.learning.forgetting import ForgettingConfig, forget_update
from rl_expire.memory.lifetime import HeadWindows
from tests.support import ACTIONS, VECTOR, act_over, made_up_rollout, random_steps, stirred

B = 3


def windows_of(*lengths: float, ramp: float = 4.0) -> HeadWindows:
    """Windows of the given lengths, in steps."""
    made = HeadWindows(
        len(lengths), max_span=20.0, initial_fraction=0.5, ramp=ramp, fade_shape="linear"
    )
    with torch.no_grad():
        made.bias.copy_(torch.tensor([math.log(z / (20.0 - z)) for z in lengths]))
    return made


def test_each_head_fades_at_its_own_window() -> None:
    lifetime = windows_of(2.0, 6.0)
    age = torch.arange(12).view(1, 1, 12)
    remaining = lifetime(torch.zeros(1, 12, 8)).unsqueeze(1) - age
    mask = lifetime.fade(remaining, age).exp()[0, :, 0]
    expected = [[min(1.0, max(0.0, 1 + (z - k) / 4.0)) for k in range(12)] for z in (2.0, 6.0)]
    torch.testing.assert_close(mask, torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_a_state_is_held_while_the_longest_window_reaches_it_and_a_free_slot_never_is() -> None:
    lifetime = windows_of(2.0, 6.0)
    torch.testing.assert_close(lifetime(torch.zeros(2, 5, 8)), torch.full((2, 5), 6.0))
    free = torch.full((1, 1, 3), -math.inf)
    assert (lifetime.fade(free, torch.zeros(1, 1, 3)) == -math.inf).all()


def agent_of() -> AdaptiveSpan:
    torch.manual_seed(0)
    config = AdaptiveSpanConfig(width=16, heads=2, max_span=20.0, ramp=4.0)
    return stirred(AdaptiveSpan(VECTOR, ACTIONS, config))


def test_memory_is_as_long_as_the_longest_window_and_its_ramp() -> None:
    agent = agent_of()
    lifetime = agent.layers[0].lifetime
    assert isinstance(lifetime, HeadWindows)
    _, _, memory = act_over(agent, random_steps(40, B), agent.initial_memory(B))
    (view,) = agent.view(memory)
    # Ages 0 to the last one for which window - age > -ramp.
    expected = math.ceil(float(lifetime.windows.max().detach()) + 4.0)
    assert view.held.sum(1).tolist() == [expected] * B


def test_windows_that_nobody_needs_shrink() -> None:
    agent = agent_of()
    lifetime = agent.layers[0].lifetime
    assert isinstance(lifetime, HeadWindows)
    with torch.no_grad():
        agent.heads.policy.weight.zero_()
        agent.heads.value.weight.zero_()
    before = lifetime.windows.detach().clone()
    optimizer = torch.optim.SGD(agent.span_parameters(), lr=1.0)
    rollout = made_up_rollout(8, B, agent.initial_memory(B))
    config = ForgettingConfig(minibatches=1, max_grad_norm=10.0)
    for _ in range(5):
        forget_update(agent, optimizer, rollout, config, alpha=0.1)
    assert (lifetime.windows < before - 0.05).all()
