"""LSTM: the recurrent baseline, with a state of fixed size instead of a memory of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks.config import LayersConfig
from agents.blocks.embedding import StepEmbedding
from agents.blocks.heads import Heads
from agents.blocks.scaled_agent import ScaledAgent
from rl_expire.actions import ActionDistribution
from rl_expire.memory.feed_forward import FeedForward
from rl_expire.types import ActorOutput, AgentOutput, TimeStep
from rl_expire.validate import check_fit, check_range


@dataclass(frozen=True)
class LSTMConfig(LayersConfig):
    """LSTM: the recurrent baseline."""

    time_scale: int = 200
    """Longest time, in steps, for which cells remember at initialisation."""

    name: ClassVar[str] = "lstm"
    size_option: ClassVar[str | None] = "width"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_range(self, "time_scale", least=2)


@dataclass
class LSTMMemory:
    """State of an LSTM.

    Attributes:
        hidden: `[N, B, D]`.
        cell: `[N, B, D]`.
        seen: `[B, D]`, the encoded previous observation; `[B, 0]` if states do not include it.
    """

    hidden: Tensor
    cell: Tensor
    seen: Tensor

    def select(self, rows: Tensor) -> LSTMMemory:
        """Return a copy with only the environments `rows [K]`."""
        return LSTMMemory(self.hidden[:, rows], self.cell[:, rows], self.seen[rows])

    def snapshot(self) -> LSTMMemory:
        """Return a detached copy."""
        tensors = self.hidden, self.cell, self.seen
        return LSTMMemory(*(x.detach().clone() for x in tensors))

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes."""
        return self.hidden.nbytes + self.cell.nbytes + self.seen.nbytes

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all tensors."""
        return {name: value.clone() for name, value in vars(self).items()}

    @staticmethod
    def from_state(state: dict[str, Tensor]) -> LSTMMemory:
        """Return a memory made of the tensors themselves that another's `state_dict` returned."""
        return LSTMMemory(**state)

    def restored(self, state: Any) -> LSTMMemory:
        """Return a new memory made from the `state_dict` of another.

        Raises:
            ValueError: `state` does not fit the layers, rows and widths of this memory.
        """
        check_fit(state, vars(self), "memory")
        device = self.hidden.device
        return self.from_state({name: x.to(device, copy=True) for name, x in state.items()})


class LSTMLayer(nn.Module):
    """Pre-norm residual layer like that of the transformers, with an LSTM in place of attention."""

    def __init__(self, config: LSTMConfig):
        """Create the weights and initialise the gates."""
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.core = nn.LSTM(config.width, config.width)
        self.feed_forward = FeedForward(config.width, config.feed_forward * config.width)
        chrono_init(self.core, config.time_scale)

    def act(self, state: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the input of the next layer and the new hidden and cell state, `[B, D]` each."""
        inputs = self.norm(state).unsqueeze(0)
        out, (hidden, cell) = self.core(inputs, (hidden.unsqueeze(0), cell.unsqueeze(0)))
        state = state + out[0]
        return state + self.feed_forward(state), hidden[0], cell[0]

    def unroll(self, states: Tensor, is_first: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
        """Process `states [T, B, D]` at once, with the same result as `act` step by step."""
        states = states + run_lstm(self.core, self.norm(states), is_first, hidden, cell)
        return states + self.feed_forward(states)


@torch.no_grad()
def chrono_init(core: nn.LSTM, longest: int) -> None:
    """Initialise the biases of `core` so that cells remember for 2 to `longest` steps.

    The forget gate's bias is log(t - 1) for a memory of t steps, t drawn uniformly, and the input
    gate's bias its negative (Tallec and Ollivier 2018, equation 16: chrono initialisation). With
    PyTorch's default, a cell loses half its content at every step, so that nothing from before a
    segment is left to learn from.
    """
    _, _, bias, other_bias = core.all_weights[0]
    bias.zero_()
    other_bias.zero_()
    input_gate, forget_gate, _, _ = bias.chunk(4)
    forget_gate.uniform_(1, longest - 1).log_()
    input_gate.copy_(-forget_gate)


def run_lstm(
    core: nn.LSTM, inputs: Tensor, is_first: Tensor, hidden: Tensor, cell: Tensor
) -> Tensor:
    """Run the fused LSTM over a segment in one call, wherever episodes start in it.

    Each part of an episode becomes a sequence of its own: the first of each row starts from the
    row's stored state, the others start from zeros.

    Args:
        core: an LSTM of one layer.
        inputs: `[T, B, D]`.
        is_first: `[T, B]` bool.
        hidden: `[B, D]`, the hidden state before the segment.
        cell: `[B, D]`, the cell state before the segment.

    Returns:
        Outputs `[T, B, D]`.
    """
    length, rows = is_first.shape
    starts = is_first.clone()
    starts[0] = True
    # Sequences are numbered row by row, in order of time.
    sequence = (starts.T.flatten().cumsum(0) - 1).view(rows, length).T
    count = int(sequence[-1, -1]) + 1
    steps = torch.arange(length, device=is_first.device).unsqueeze(1).expand(-1, rows)
    latest_start = torch.where(starts, steps, 0).cummax(0).values
    place = steps - latest_start
    padded = inputs.new_zeros(int(place.max()) + 1, count, inputs.shape[-1])
    padded = padded.index_put((place, sequence), inputs)
    keep = (~is_first[0]).unsqueeze(-1)
    zeros = hidden.new_zeros(count, hidden.shape[-1])
    state = tuple(
        zeros.index_copy(0, sequence[0], stored * keep).unsqueeze(0) for stored in (hidden, cell)
    )
    out, _ = core(padded, state)
    return out[place, sequence]


class LSTM(ScaledAgent[LSTMMemory]):
    """Encoder, LSTM layers, policy and value heads, with back-propagation truncated to the segment.

    A segment starts from the state that was stored when it was collected (as in R2D2, Kapturowski
    et al. 2019, section 2.3); the state is reset to zeros at the start of each episode.

    Args:
        observation_space: any space that `make_encoder` supports.
        action_space: any space that `ActionLayout` supports.
        config: the options.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, config: LSTMConfig):
        """Create embedding, layers and heads for the spaces."""
        super().__init__()
        self.config = config
        self.actions = ActionDistribution(action_space)
        self.embedding = StepEmbedding(observation_space, self.actions, config)
        self.layers = nn.ModuleList(LSTMLayer(config) for _ in range(config.layers))
        self.heads = Heads(config.width, self.actions)

    def _layers(self) -> list[LSTMLayer]:
        """Return the layers with their type."""
        return [layer for layer in self.layers if isinstance(layer, LSTMLayer)]

    def initial_memory(self, batch_size: int) -> LSTMMemory:
        """Return zero states for `batch_size` environments."""
        shape = (self.config.layers, batch_size, self.config.width)
        zeros = self.heads.policy.weight.new_zeros(shape)
        return LSTMMemory(zeros, zeros.clone(), self.embedding.initial_seen(batch_size))

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: LSTMMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, LSTMMemory]:
        """Choose actions for one step `[B]`."""
        state, seen = self.embedding.act(step, memory.seen)
        keep = (~step.is_first).unsqueeze(-1)
        updated = []
        for layer, hidden, cell in zip(self._layers(), memory.hidden, memory.cell, strict=True):
            state, *hidden_and_cell = layer.act(state, hidden * keep, cell * keep)
            updated.append(hidden_and_cell)
        hiddens, cells = (torch.stack(states) for states in zip(*updated, strict=True))
        return self.heads.act(state, step.action_mask, greedy=greedy), LSTMMemory(
            hiddens, cells, seen
        )

    def unroll(self, steps: TimeStep, memory: LSTMMemory) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients; leave `memory` unchanged."""
        embedded, _ = self.embedding(steps, memory.seen)
        states = embedded
        for layer, hidden, cell in zip(self._layers(), memory.hidden, memory.cell, strict=True):
            states = layer.unroll(states, steps.is_first, hidden, cell)
        logits, value = self.heads(states, steps.action_mask)
        return AgentOutput(
            logits,
            value,
            aux_loss=value.new_zeros(()),
            spans=value.new_zeros(0, *value.shape),
            reconstruction_loss=self.embedding.reconstruction_loss(embedded, steps.obs),
            value_scale=self.heads.value.scale,
        )
