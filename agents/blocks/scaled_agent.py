"""Base class of agents whose learning depends on no unit: of rewards, values or observations."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks.config import LayersConfig
from agents.blocks.embedding import StepEmbedding
from agents.blocks.heads import Heads
from rl_expire.actions import ActionDistribution
from rl_expire.types import Agent, M, Obs

C = TypeVar("C", bound=LayersConfig)


class ScaledAgent(Agent[M], Generic[M, C]):
    """An agent of an embedding, layers, and heads; it scales observations, rewards and values.

    Args:
        observation_space: any space that `make_encoder` supports.
        action_space: any space that `ActionLayout` supports.
        config: the options.

    Attributes:
        embedding: divides the rewards and the observed numbers by their scales.
        layers: as `make_layer` makes them.
        heads: multiply the values by theirs.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, config: C):
        """Create embedding, layers and heads for the spaces."""
        super().__init__()
        self.config = config
        self.actions = ActionDistribution(action_space)
        self.embedding = StepEmbedding(observation_space, self.actions, config)
        self.layers = nn.ModuleList(self.make_layer() for _ in range(config.layers))
        self.heads = Heads(config.width, self.actions)

    @abstractmethod
    def make_layer(self) -> nn.Module:
        """Return a new layer."""

    def update_reward_stats(self, rewards: Tensor) -> Tensor:
        """Update the scale of the rewards; see `Agent.update_reward_stats`."""
        scale = self.embedding.reward_scale
        if not scale.update(rewards):
            return torch.ones_like(scale.rms)
        self.heads.value.multiply(scale.rms)
        return scale.rms

    def update_value_stats(self, returns: Tensor) -> Tensor:
        """Update the scale of the values; see `Agent.update_value_stats`."""
        self.heads.value.update_stats(returns, min_scale=self.embedding.reward_scale.rms)
        return self.heads.value.scale

    def update_obs_stats(self, obs: Obs, valid: Tensor) -> None:
        """Update the scale of the observed numbers; see `Agent.update_obs_stats`."""
        self.embedding.encoder.update_stats(obs, valid)

    def loss_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that only losses use."""
        return self.embedding.loss_parameters()
