"""Let memories age at another pace in some environments, in tasks of one level.

A policy that learns with everything held spreads what it knows over all of it: each memory matters
a little, and none can be given up. A curriculum avoids that, since lifetimes learn from its first
lessons on. Elsewhere, memories age faster in some environments, where the policy learns what to do
with fewer of them before lifetimes become shorter everywhere; the idea is that of nested dropout
(Rippel et al. 2014), over time. In as many others they age slowly: what would be gained by holding
them for longer is seen there, and lost memories are found again.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from rl_expire.learning.forgetting import ForgettingAgent
from rl_expire.types import Agent, M

EVERY = 8
"""Of so many environments, memories age faster in one and slowly in another."""
DOUBLINGS = 6
"""Memories that age faster do so by factors of 2, 4, ..., up to so many doublings."""
SLOW = 0.5
"""Pace of memories that age slowly."""


def ageing_pace(rows: int) -> Tensor:
    """Return by how much the memories of each environment age in a step, `[B]`.

    In three of four environments it is 1; these alone tell how good the agent is.

    Args:
        rows: B.
    """
    pace = torch.ones(rows)
    some = rows // EVERY
    pace[rows - 2 * some : rows - some] = SLOW
    pace[rows - some :] = 2.0 ** (1 + torch.arange(some) % DOUBLINGS)
    return pace


def empty_memory(agent: Agent[M], pace: Tensor) -> M:
    """Return an empty memory of B environments.

    Args:
        agent: a `ForgettingAgent`, unless memories age step by step everywhere.
        pace: `[B]`, by how much memories age in a step.
    """
    memory = agent.initial_memory(len(pace))
    if bool((pace == 1).all()):
        return memory
    return cast(ForgettingAgent[M], agent).with_pace(memory, pace)
