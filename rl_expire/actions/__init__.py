"""Actions as tensors: any action space as a flat tensor, and the policy's distribution over it."""

from rl_expire.actions.distribution import ActionDistribution
from rl_expire.actions.layout import ActionLayout, UnsupportedSpaceError

__all__ = ["ActionDistribution", "ActionLayout", "UnsupportedSpaceError"]
