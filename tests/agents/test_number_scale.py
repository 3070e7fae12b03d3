"""Scale of observed numbers: learning does not depend on their units."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from agents import MemorylessConfig, make_agent
from agents.encoders.scale import CLIP, NEVER, NumberScale, symlog
from rl_expire.learning.actor import Actor
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.rollout import collect
from tests.support import AGENTS, CPU, VECTOR, Make, act_over, random_steps

UNITS = torch.tensor([1e-3, 1.0, 1e4, 1e9], dtype=torch.float64)


class Name(gym.Env):
    """Shows 1 or -1 among noise; the only action of an episode must name it.

    Args:
        unit: what the observation is multiplied by.
        zero: what is added to it first.
    """

    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def __init__(self, unit: Tensor, zero: float):
        self.unit, self.zero = unit.numpy(), zero

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.right = int(self.np_random.integers(2))
        shown = np.array([2.0 * self.right - 1, *self.np_random.normal(size=3)])
        return self.unit * (shown + self.zero), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs = np.zeros(4) * self.unit
        return obs, float(action == self.right), True, False, {"success": action == self.right}


def train(unit: Tensor, zero: float, updates: int, until: float = 1.1) -> tuple[Any, list[float]]:
    """Train on `Name`; return the agent and the success in each rollout up to `until`."""
    torch.manual_seed(1)
    envs = SyncVectorEnv([lambda: Name(unit, zero)] * 16, autoreset_mode=AutoresetMode.SAME_STEP)
    agent = make_agent(Name.observation_space, Name.action_space, MemorylessConfig(width=16))
    seen = torch.randn(8, 16, 4, dtype=torch.float64)  # from here on no unit matters
    agent.update_obs_stats((seen + zero) * unit, torch.ones(8, 16, dtype=torch.bool))
    actor = Actor(envs, agent, CPU, seed=1)
    ppo = PPOConfig(learning_rate=3e-3, minibatches=2)
    optimizer, curve = torch.optim.Adam(agent.parameters(), lr=ppo.learning_rate), []
    while len(curve) < updates and not (curve and curve[-1] > until):
        rollout = collect(actor, 8)
        curve.append(float(np.mean([e.info["success"] for e in actor.take_episodes()])))
        ppo_update(agent, optimizer, rollout, ppo, entropy_cost=0.01)
    return agent, curve


def test_the_curve_is_the_same_in_all_units() -> None:
    agent, curve = train(torch.ones(4, dtype=torch.float64), 0.0, 4)
    scaled, other = train(UNITS, 0.0, 4)
    assert other == curve
    torch.testing.assert_close(scaled.heads.policy.weight, agent.heads.policy.weight)


def test_small_large_and_shifted_numbers_are_learned_from() -> None:
    assert train(UNITS, 1e4, 40, until=0.95)[1][-1] > 0.95


def naive(numbers: Tensor, seen: Tensor) -> Tensor:
    """Return numbers in standard deviations of all that were seen."""
    return ((numbers - seen.mean(0)) / seen.std(0, correction=0)).clamp(-CLIP, CLIP).float()


def test_it_is_the_mean_and_deviation_of_everything_seen() -> None:
    scale, seen = NumberScale(4), torch.randn(60, 4, dtype=torch.float64) * UNITS + 5 * UNITS
    torch.testing.assert_close(scale(seen), symlog(seen))
    for part in seen.split([7, 1, 52]):
        scale.update(part)
    scale.update(seen[:0])
    more = torch.cat([seen, 100 * seen])
    torch.testing.assert_close(scale(more), naive(more, seen))
    assert float(scale(more).abs().max()) == CLIP


def test_what_never_changed_is_zero_and_large_integers_are_exact() -> None:
    scale = NumberScale(2)
    seen = torch.tensor([[10**12 + n * 10**3, 10**9] for n in range(5)])
    scale.update(seen)
    torch.testing.assert_close(scale(seen)[:, 0], torch.linspace(-(2**0.5), 2**0.5, 5))
    assert not scale(seen)[:, 1].any()
    assert scale(torch.tensor([1e300, -1e300])).tolist() == [CLIP, -CLIP]


def test_an_agent_of_an_earlier_version_keeps_its_logarithm() -> None:
    scale, seen = NumberScale(3), torch.randn(9, 3)
    scale.count.fill_(NEVER)
    scale.update(seen)
    assert float(scale.count) == NEVER
    assert torch.equal(scale(seen), symlog(seen))


@pytest.mark.parametrize("name", ["lstm", "expire-span", "memoryless"])
def test_unroll_equals_act_with_a_scale_that_acting_does_not_change(name: str) -> None:
    make: Make = AGENTS[name]
    agent, steps = make(VECTOR), random_steps(9, 3, first=[(0, n) for n in range(3)])
    assert isinstance(steps.obs, Tensor)
    agent.update_obs_stats(3 + 2 * steps.obs, ~steps.is_first)
    before = {k: v.clone() for k, v in agent.state_dict().items()}
    assert float(before["embedding.encoder.scale.count"]) == 24
    logits, value, _ = act_over(agent, steps, agent.initial_memory(3))
    output = agent.unroll(steps, agent.initial_memory(3))
    torch.testing.assert_close(output.logits, logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.value, value, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in agent.state_dict().items())
