"""Policy and value heads."""

from __future__ import annotations

import gymnasium as gym
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.blocks.value_head import ValueHead
from rl_expire.types import ActorOutput


def num_actions(space: gym.Space) -> int:
    """Return the number of actions A of a `Discrete` action space.

    Raises:
        ValueError: the space is not `Discrete`, or does not start at 0.
    """
    if not isinstance(space, spaces.Discrete) or space.start != 0:
        name = " ".join(str(space).split())
        raise ValueError(
            f"action space {name} is not supported: agents need a Discrete space that starts at 0; "
            "wrap the environment to provide one"
        )
    return int(space.n)


class Heads(nn.Module):
    """Policy and value heads on states `[..., D]`.

    Args:
        width: D.
        actions: number of actions A.
    """

    def __init__(self, width: int, actions: int):
        """Create the weights; the initial policy is almost uniform."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.policy = nn.Linear(width, actions)
        self.value = ValueHead(width)
        nn.init.orthogonal_(self.policy.weight, gain=0.01)
        nn.init.zeros_(self.policy.bias)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return `logits [..., A]` and `value [...]`."""
        normed = self.norm(state)
        return self.policy(normed), self.value(normed)

    def act(self, state: Tensor, *, greedy: bool) -> ActorOutput:
        """Sample actions from the policy, or take the most likely ones if `greedy`."""
        logits, value = self(state)
        # Gumbel-max: logits minus the logarithm of exponential noise.
        scores = logits if greedy else logits - torch.empty_like(logits).exponential_().log()
        return ActorOutput(scores.argmax(-1), logits, value)
