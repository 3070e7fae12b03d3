"""Equal observations are encoded once, with the same result."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from agents.blocks.config import LayersConfig
from agents.blocks.distinct import distinct
from agents.blocks.embedding import StepEmbedding
from rl_expire.actions import ActionDistribution
from rl_expire.types import Obs, map_obs
from tests.support import random_steps

THREE = ActionDistribution(spaces.Discrete(3))

CELLS = spaces.Box(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 3, np.uint8), dtype=np.uint8)
SPACES: dict[str, gym.Space] = {
    "cells": CELLS,
    "pixels": spaces.Box(0, 255, (9, 9, 3), np.uint8),
    "one token": spaces.Discrete(5, start=-2),
    "tokens": spaces.MultiDiscrete([4, 3, 4]),
    "bits": spaces.MultiBinary(3),
    "dict": spaces.Dict({"cells": CELLS, "token": spaces.Discrete(3)}),
}


def rows_of(obs: Obs) -> list[bytes]:
    """Return each of the observations `[N, ...]` as bytes."""
    parts = list(obs.values()) if isinstance(obs, dict) else [obs]
    count = len(parts[0])
    return [b"".join(part[n].numpy().tobytes() for part in parts) for n in range(count)]


def repeated(space: gym.Space, kinds: int, count: int) -> Obs:
    """Return `count` observations `[N, ...]` that are drawn from `kinds` different ones."""
    draws = torch.arange(count) * 7 % kinds
    steps = random_steps(1, kinds, space=space)
    return map_obs(lambda x: x[0][draws], steps.obs)


@pytest.mark.parametrize("name", SPACES)
def test_distinct_observations_are_found(name: str) -> None:
    obs = repeated(SPACES[name], kinds=6, count=40)
    alike = distinct(obs)
    assert alike is not None
    rows = rows_of(obs)
    assert len(alike.rows) == len(set(rows))
    assert [rows[alike.rows[i]] for i in alike.index] == rows


def test_observations_that_differ_in_one_value_are_told_apart() -> None:
    pixels = torch.full((1 + 3 * 40 * 40, 40, 40, 3), 200, dtype=torch.uint8)
    pixels[1:].view(-1, 4800).diagonal().add_(1)
    alike = distinct(pixels)
    assert alike is not None
    assert len(alike.rows) == len(pixels)


def test_permuted_observations_and_swapped_entries_are_told_apart() -> None:
    first, second = torch.tensor([[1, 2], [2, 1]]), torch.tensor([[2, 1], [1, 2]])
    alike = distinct({"a": first, "b": second})
    assert alike is not None
    assert len(alike.rows) == 2


def test_numbers_with_fractions_are_not_compared() -> None:
    assert distinct(torch.zeros(4, 2)) is None
    assert distinct({"a": torch.zeros(4, dtype=torch.int64), "b": torch.zeros(4, 2)}) is None


@pytest.mark.parametrize("name", SPACES)
def test_codes_and_gradients_are_those_of_each_observation_by_itself(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = StepEmbedding(SPACES[name], THREE, LayersConfig(width=8))
    steps = random_steps(5, 4, space=SPACES[name])
    steps = steps.map(lambda x: x[torch.tensor([0, 1, 0, 2, 1])])

    def outcome() -> list[Tensor]:
        """Return the states, and the gradients of a loss of them."""
        embedding.zero_grad()
        states, _ = embedding(steps, embedding.initial_seen(4))
        (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
        return [
            states.detach(),
            *(p.grad.clone() for p in embedding.parameters() if p.grad is not None),
        ]

    once = outcome()
    monkeypatch.setattr("agents.blocks.embedding.distinct", lambda obs: None)
    for x, y in zip(once, outcome(), strict=True):
        torch.testing.assert_close(x, y, atol=1e-5, rtol=1e-4)
