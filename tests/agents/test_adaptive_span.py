"""Adaptive-Span: a learned window for each head; states are held for the longest of them."""

import math

import torch

from agents import AdaptiveSpan, AdaptiveSpanConfig
from rl_expire.learning.forgetting import Forgetting, ForgettingConfig
from rl_expire.learning.optim import step_optimizers
from rl_expire.memory.lifetime import HeadWindows
from tests.support import ACTIONS, VECTOR, act_over, made_up_rollout, random_steps, stirred

B = 3


def make_agent() -> AdaptiveSpan:
    """Return an agent with windows of up to 20 steps."""
    torch.manual_seed(0)
    config = AdaptiveSpanConfig(width=16, heads=2, max_span=20.0, initial_fraction=0.5, ramp=4.0)
    return stirred(AdaptiveSpan(VECTOR, ACTIONS, config))


def test_memory_extends_over_the_longest_window_and_its_ramp() -> None:
    agent = make_agent()
    lifetime = agent.layers[0].lifetime
    assert isinstance(lifetime, HeadWindows)
    _, _, memory = act_over(agent, random_steps(40, B), agent.initial_memory(B))
    (view,) = agent.view(memory)
    # Ages 0 to the last one for which window - age > -ramp.
    expected = math.ceil(float(lifetime.windows.max().detach()) + 4.0)
    assert view.held.sum(1).tolist() == [expected] * B


def test_unneeded_windows_shrink() -> None:
    agent = make_agent()
    lifetime = agent.layers[0].lifetime
    assert isinstance(lifetime, HeadWindows)
    with torch.no_grad():
        agent.heads.policy.weight.zero_()
        agent.heads.value.weight.zero_()
    before = lifetime.windows.detach().clone()
    optimizer = torch.optim.SGD(agent.span_parameters(), lr=1.0)
    rollout = made_up_rollout(8, B, agent.initial_memory(B))
    for _ in range(5):
        forgetting = Forgetting(agent, optimizer, ForgettingConfig(), alpha=0.1)
        output = agent.unroll(rollout.acted_on, rollout.memory)
        step_optimizers([(optimizer, 10.0)], forgetting.loss(rollout, output))
    assert (lifetime.windows < before - 0.05).all()
