"""Weights in shared memory, which a learner publishes and actors in other processes load."""

from __future__ import annotations

from multiprocessing.context import SpawnContext

import torch
from torch import nn


class PublishedWeights:
    """A copy of an agent's weights that other processes can load; passed to them when they start.

    Args:
        agent: the agent whose weights are published, on any device.
        context: the context in which the processes start.
    """

    def __init__(self, agent: nn.Module, context: SpawnContext):
        """Copy the current weights to shared memory, as version 0."""
        weights = agent.state_dict()
        self._weights = {k: x.detach().cpu().clone().share_memory_() for k, x in weights.items()}
        self._version = context.Value("q", 0)

    @property
    def version(self) -> int:
        """How often weights have been published."""
        return self._version.value

    @torch.no_grad()
    def publish(self, agent: nn.Module) -> None:
        """Copy the current weights of `agent`."""
        weights = agent.state_dict()
        with self._version.get_lock():
            for name, shared in self._weights.items():
                shared.copy_(weights[name])
            self._version.value += 1

    def load(self, agent: nn.Module) -> int:
        """Load the weights into `agent`, on any device; return their version."""
        with self._version.get_lock():
            agent.load_state_dict(self._weights)
            return self._version.value
