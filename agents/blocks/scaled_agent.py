"""Base class of agents whose learning depends on no unit: of rewards, values or observations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.blocks.embedding import StepEmbedding
from agents.blocks.heads import Heads
from rl_expire.types import Agent, M, Obs


class ScaledAgent(Agent[M]):
    """An agent of an embedding and heads that scale observations, rewards and values.

    Attributes:
        embedding: divides the rewards and the observed numbers by their scales.
        heads: multiply the values by theirs.
    """

    embedding: StepEmbedding
    heads: Heads

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
