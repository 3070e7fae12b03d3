"""Base class of agents whose learning does not depend on the size of the rewards."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.blocks.embedding import StepEmbedding
from agents.blocks.heads import Heads
from rl_expire.types import Agent, M


class ScaledAgent(Agent[M]):
    """An agent of an embedding and heads that scale rewards and values.

    Attributes:
        embedding: divides the rewards by their scale.
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

    def loss_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that only losses use."""
        return self.embedding.loss_parameters()
