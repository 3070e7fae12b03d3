"""The recurrent baseline: one fixed state instead of a memory of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks import Heads, StepEmbedding, num_actions, positive
from rl_expire.types import ActorOutput, Evaluation, LayerView, TimeStep


@dataclass(frozen=True)
class LSTMConfig:
    """The LSTM."""

    width: int = 64
    """Width D of encoder, state and heads."""
    layers: int = 1
    """LSTM layers, one on top of the other."""

    name: ClassVar[str] = "lstm"
    size_option: ClassVar[str | None] = "width"

    def __post_init__(self) -> None:
        positive(self, "width", "layers")


@dataclass
class LSTMMemory:
    """Hidden and cell states, `[N, B, D]` each."""

    hidden: Tensor
    cell: Tensor

    def select(self, rows: Tensor) -> LSTMMemory:
        """Return a copy with only the environments `rows [K]`."""
        return LSTMMemory(self.hidden[:, rows], self.cell[:, rows])

    def snapshot(self) -> LSTMMemory:
        """Return a detached copy."""
        return LSTMMemory(self.hidden.detach().clone(), self.cell.detach().clone())

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held."""
        return self.hidden.nbytes + self.cell.nbytes


class LSTM(nn.Module):
    """Encoder, LSTM, policy and value heads; truncated back-propagation over the segment.

    The state at a segment's start is the one stored when it was collected (as in R2D2, Kapturowski
    et al. 2019, section 2.3), and is cleared where an episode begins inside it.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, config: LSTMConfig):
        super().__init__()
        self.config = config
        actions = num_actions(action_space)
        self.embedding = StepEmbedding(observation_space, actions, config.width)
        self.core = nn.LSTM(config.width, config.width, config.layers)
        self.heads = Heads(config.width, actions)

    def initial_memory(self, batch_size: int) -> LSTMMemory:
        """Return zero states for `batch_size` environments."""
        shape = (self.config.layers, batch_size, self.config.width)
        zeros = self.heads.policy.weight.new_zeros(shape)
        return LSTMMemory(zeros, zeros.clone())

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: LSTMMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, LSTMMemory]:
        """Choose actions for one step `[B]`."""
        keep = (~step.is_first).unsqueeze(-1)
        state = (memory.hidden * keep, memory.cell * keep)
        out, (hidden, cell) = self.core(self.embedding(step).unsqueeze(0), state)
        return self.heads.act(out[0], greedy=greedy), LSTMMemory(hidden, cell)

    def evaluate(self, steps: TimeStep, memory: LSTMMemory) -> Evaluation:
        """Replay `steps [T, B]` from `memory` with gradients."""
        out = self.unroll(self.embedding(steps), steps.is_first, memory)
        logits, value = self.heads(out)
        spans = value.new_zeros(0, *value.shape)
        return Evaluation(logits, value, value.new_zeros(()), spans)

    def unroll(self, inputs: Tensor, is_first: Tensor, memory: LSTMMemory) -> Tensor:
        """Run the fused LSTM once, however many episodes begin inside the segment.

        Each stretch of an episode becomes a sequence of its own: a row's first stretch starts from
        the row's stored state, the others from zero.

        Args:
            inputs: `[T, B, D]`.
            is_first: `[T, B]` bool.
            memory: the states before the segment.

        Returns:
            Outputs `[T, B, D]`.
        """
        length, rows = is_first.shape
        starts = is_first.clone()
        starts[0] = True
        # Stretches are numbered row by row, in the order of time.
        stretch = (starts.T.flatten().cumsum(0) - 1).view(rows, length).T
        count = int(stretch[-1, -1]) + 1
        steps = torch.arange(length, device=is_first.device).unsqueeze(1).expand(-1, rows)
        began = torch.where(starts, steps, 0).cummax(0).values
        place = steps - began
        padded = inputs.new_zeros(int(place.max()) + 1, count, inputs.shape[-1])
        padded = padded.index_put((place, stretch), inputs)
        first = stretch[0]
        keep = (~is_first[0]).unsqueeze(-1)
        blank = memory.hidden.new_zeros(memory.hidden.shape[0], count, memory.hidden.shape[2])
        state = (
            blank.index_copy(1, first, memory.hidden * keep),
            blank.index_copy(1, first, memory.cell * keep),
        )
        out, _ = self.core(padded, state)
        return out[place, stretch]

    def refresh(self, memory: LSTMMemory) -> LSTMMemory:
        """Return the memory as it is: a state cannot be recomputed without its past."""
        return memory

    def view(self, memory: LSTMMemory) -> list[LayerView]:
        """Return no layers: nothing is kept one by one."""
        return []

    def span_parameters(self) -> list[nn.Parameter]:
        """Return none: nothing has a lifetime."""
        return []
