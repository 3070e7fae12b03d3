"""Let some environments forget sooner, so that the policy learns to do with fewer memories.

A policy that learns with everything held spreads what it knows over all of it: each memory matters
a little, and none can be given up. So in a part of the environments memories are held for a small
share of their lifetimes only. The policy learns there what to do without the rest, before lifetimes
are shortened everywhere. The idea is that of nested dropout (Rippel et al. 2014), over time.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from rl_expire.learning.forgetting import ForgettingAgent
from rl_expire.types import Agent, M

EVERY = 4
"""Of so many environments, one forgets sooner."""
HALVINGS = 6
"""Lifetimes are halved there once, twice, up to so many times."""


def lifetime_shares(rows: int) -> Tensor:
    """Return the share `[B]` of its lifetime for which a memory is held in each environment.

    It is 1 in three of four environments, which alone tell how good the agent is and which memories
    it needs, and 1/2, 1/4, ..., 1/64 in the others.

    Args:
        rows: B.
    """
    shares = torch.ones(rows)
    shorter = rows // EVERY
    shares[rows - shorter :] = 0.5 ** (1 + torch.arange(shorter) % HALVINGS)
    shares[rows - shorter : rows - shorter // 2] = 2.0
    return shares


def empty_memory(agent: Agent[M], shares: Tensor) -> M:
    """Return an empty memory that is held for `shares [B]` of its lifetimes.

    Args:
        agent: a `ForgettingAgent`, unless all shares are 1.
        shares: one for each of B environments.
    """
    memory = agent.initial_memory(len(shares))
    if bool((shares == 1).all()):
        return memory
    return cast(ForgettingAgent[M], agent).shortened(memory, shares)
