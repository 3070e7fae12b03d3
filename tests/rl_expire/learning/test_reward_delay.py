"""Delay of the reward, measured on rewards whose delay is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rl_expire.learning.reward_delay import RewardDelay
from tests.counting import CountingMemory
from tests.support import made_up_rollout

B = 3


def mean_delay(rewards: list[float], lengths: list[int], every: int, factor: float = 1.0) -> float:
    """Return the mean delay of equal episodes with these rewards, in rollouts of `every` steps.

    The state is saved and restored after each rollout.
    """
    ends = np.cumsum(lengths) - 1
    delay = RewardDelay(B)
    for start in range(0, len(rewards), every):
        part = slice(start, start + every)
        length = len(rewards[part])
        rollout = made_up_rollout(length, B, CountingMemory(torch.zeros(B, dtype=torch.int64)))
        ended = torch.tensor([t in ends for t in range(start, start + length)])
        reward = torch.tensor(rewards[part]) * factor
        delay.update(
            replace(
                rollout,
                reward=reward.unsqueeze(1).expand(-1, B),
                terminated=ended.unsqueeze(1).expand(-1, B),
                truncated=torch.zeros(length, B, dtype=torch.bool),
                valid=torch.ones(length, B, dtype=torch.bool),
            )
        )
        other = RewardDelay(B)
        other.load_state_dict(delay.state_dict())
        delay = other
    return delay.mean


@pytest.mark.parametrize(
    ("factor", "every", "cost"),
    [(1.0, 20, 0.0), (1e-6, 7, 0.0), (1e6, 60, -0.01), (1.0, 7, -0.01)],
)
def test_a_reward_at_the_end_waits_for_the_whole_episode(
    factor: float, every: int, cost: float
) -> None:
    rewards = ([cost] * 19 + [1.0]) * 3
    assert mean_delay(rewards, [20] * 3, every, factor) == pytest.approx(20)


def test_a_reward_on_every_step_has_no_delay() -> None:
    assert mean_delay([0.7] * 60, [20] * 3, 20) == 0


def test_without_a_reward_there_is_no_delay() -> None:
    assert mean_delay([0.0] * 60, [20] * 3, 20) == 0


def test_the_delay_restarts_at_a_reward() -> None:
    assert mean_delay(([0.0] * 4 + [1.0]) * 12, [60], 60) == pytest.approx(5)


def test_a_state_of_another_number_of_environments_is_refused() -> None:
    with pytest.raises(ValueError, match="delay/waited has shape"):
        RewardDelay(B).load_state_dict(RewardDelay(B + 1).state_dict())
