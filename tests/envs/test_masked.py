"""`MaskVelocity` hides the velocities of Gymnasium's control tasks."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from envs.masked import MaskVelocity


def test_only_velocities_are_hidden() -> None:
    plain, masked = gym.make("CartPole-v1"), MaskVelocity(gym.make("CartPole-v1"))
    full, partial = plain.reset(seed=3)[0], masked.reset(seed=3)[0]
    for _ in range(5):
        np.testing.assert_array_equal(partial[[0, 2]], full[[0, 2]])
        assert partial[[1, 3]].tolist() == [0, 0]
        assert full[1] != 0
        full, partial = plain.step(1)[0], masked.step(1)[0]


def test_unknown_environments_are_refused() -> None:
    with pytest.raises(ValueError, match="knows the velocities of CartPole, "):
        MaskVelocity(gym.make("FrozenLake-v1"))
