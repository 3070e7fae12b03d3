"""Policy and value heads."""

from __future__ import annotations

from torch import Tensor, nn

from agents.blocks.value_head import ValueHead
from rl_expire.actions import ActionDistribution
from rl_expire.types import ActorOutput


class Heads(nn.Module):
    """Policy and value heads on states `[..., D]`.

    Args:
        width: D.
        actions: the policy's distribution.
    """

    def __init__(self, width: int, actions: ActionDistribution):
        """Create the weights; the initial policy is almost the same everywhere."""
        super().__init__()
        self.actions = actions
        self.norm = nn.LayerNorm(width)
        self.policy = nn.Linear(width, actions.size)
        self.value = ValueHead(width)
        nn.init.orthogonal_(self.policy.weight, gain=0.01)
        nn.init.zeros_(self.policy.bias)

    def forward(self, state: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return `logits [..., P]` and `value [...]`; `mask` is that of `TimeStep`."""
        normed = self.norm(state)
        logits = self.policy(normed)
        if mask is not None:
            logits = self.actions.masked(logits, mask)
        return logits, self.value(normed)

    def act(self, state: Tensor, mask: Tensor | None, *, greedy: bool) -> ActorOutput:
        """Sample actions from the policy, or take the most likely ones if `greedy`."""
        logits, value = self(state, mask)
        choose = self.actions.mode if greedy else self.actions.sample
        return ActorOutput(choose(logits), logits, value)
