"""Base class of recurrent agents."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import torch

from agents.blocks.scaled_agent import ScaledAgent
from agents.recurrent.config import RecurrentConfig
from agents.recurrent.layer import RecurrentLayer
from agents.recurrent.memory import RecurrentMemory
from rl_expire.types import ActorOutput, AgentOutput, TimeStep

C = TypeVar("C", bound=RecurrentConfig)


class RecurrentAgent(ScaledAgent[RecurrentMemory, C], Generic[C]):
    """Encoder, recurrent layers, policy and value heads; back-propagation stops at the segment.

    A segment starts from the state that was stored when it was collected (as in R2D2, Kapturowski
    et al. 2019, section 2.3); the state is reset to zeros at the start of each episode.

    Its arguments are those of `ScaledAgent`.
    """

    @abstractmethod
    def make_layer(self) -> RecurrentLayer:
        """Return a new layer."""

    def _layers(self) -> list[RecurrentLayer]:
        """Return the layers with their type."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def initial_memory(self, batch_size: int) -> RecurrentMemory:
        """Return zero states for `batch_size` environments."""
        shape = (self.config.layers, batch_size, self.config.width)
        zeros = self.heads.policy.weight.new_zeros(shape)
        states = {name: zeros.clone() for name in self._layers()[0].STATES}
        return RecurrentMemory(states, self.embedding.initial_seen(batch_size))

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: RecurrentMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, RecurrentMemory]:
        """Choose actions for one step `[B]`."""
        state, seen = self.embedding.act(step, memory.seen)
        keep = (~step.is_first).unsqueeze(-1)
        updated = []
        for layer, *states in zip(self._layers(), *memory.states.values(), strict=True):
            state, states = layer.act(state, tuple(x * keep for x in states))
            updated.append(states)
        stacked = (torch.stack(states) for states in zip(*updated, strict=True))
        after = dict(zip(memory.states, stacked, strict=True))
        output = self.heads.act(state, step.action_mask, greedy=greedy)
        return output, RecurrentMemory(after, seen)

    def unroll(self, steps: TimeStep, memory: RecurrentMemory) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients; leave `memory` unchanged."""
        embedded, _ = self.embedding(steps, memory.seen)
        states = embedded
        for layer, *stored in zip(self._layers(), *memory.states.values(), strict=True):
            states = layer.unroll(states, steps.is_first, tuple(stored))
        logits, value = self.heads(states, steps.action_mask)
        return AgentOutput(
            logits,
            value,
            aux_loss=value.new_zeros(()),
            spans=value.new_zeros(0, *value.shape),
            reconstruction_loss=self.embedding.reconstruction_loss(embedded, steps.obs),
            value_scale=self.heads.value.scale,
        )
