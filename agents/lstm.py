"""The recurrent baseline: a state of fixed size instead of a memory of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.blocks import FeedForward, Heads, LayersConfig, StepEmbedding, at_least, num_actions
from rl_expire.types import ActorOutput, Agent, AgentOutput, TimeStep
from rl_expire.validate import check_fit


@dataclass(frozen=True)
class LSTMConfig(LayersConfig):
    """The LSTM."""

    time_scale: int = 200
    """The longest time, in steps, that cells keep what they hold for before anything is learned."""

    name: ClassVar[str] = "lstm"
    size_option: ClassVar[str | None] = "width"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, self, "time_scale")


@dataclass
class LSTMMemory:
    """What an LSTM goes on from.

    Attributes:
        hidden: `[N, B, D]`.
        cell: `[N, B, D]`.
        seen: `[B, D]`, the encoded observation before; `[B, 0]` where states do without it.
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
        """Bytes of all that is held."""
        return self.hidden.nbytes + self.cell.nbytes + self.seen.nbytes

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors."""
        return {name: value.clone() for name, value in vars(self).items()}

    def restored(self, state: Any) -> LSTMMemory:
        """Return the memory that `state_dict` described.

        Raises:
            ValueError: it does not fit this one's layers, rows and width.
        """
        check_fit(state, vars(self), "memory")
        device = self.hidden.device
        return LSTMMemory(**{name: x.to(device, copy=True) for name, x in state.items()})


class LSTMLayer(nn.Module):
    """The layer of the transformers with an LSTM where they attend; pre-norm, residual."""

    def __init__(self, config: LSTMConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.core = nn.LSTM(config.width, config.width)
        self.feed_forward = FeedForward(config.width, config.feed_forward * config.width)
        remember(self.core, config.time_scale)

    def act(self, state: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next layer's input, and the new hidden and cell state, `[B, D]` each."""
        inputs = self.norm(state).unsqueeze(0)
        out, (hidden, cell) = self.core(inputs, (hidden.unsqueeze(0), cell.unsqueeze(0)))
        state = state + out[0]
        return state + self.feed_forward(state), hidden[0], cell[0]

    def unroll(self, states: Tensor, is_first: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
        """Do for `states [T, B, D]` at once what `act` does one by one."""
        states = states + run_lstm(self.core, self.norm(states), is_first, hidden, cell)
        return states + self.feed_forward(states)


@torch.no_grad()
def remember(core: nn.LSTM, longest: int) -> None:
    """Let the cells of `core` begin with memories of 2 to `longest` steps, drawn evenly.

    The forget gate's bias is log(t - 1) for a memory of t steps, the input gate's its negative
    (Tallec and Ollivier 2018, equation 16: chrono initialisation). Without it a cell halves every
    step, and nothing from before the segment is ever there to learn from.
    """
    _, _, bias, other_bias = core.all_weights[0]
    bias.zero_()
    other_bias.zero_()
    put_in, forget, _, _ = bias.chunk(4)
    forget.uniform_(1, longest - 1).log_()
    put_in.copy_(-forget)


def run_lstm(
    core: nn.LSTM, inputs: Tensor, is_first: Tensor, hidden: Tensor, cell: Tensor
) -> Tensor:
    """Run the fused LSTM once, however many episodes begin inside the segment.

    Each stretch of an episode becomes a sequence of its own: a row's first stretch starts from the
    row's stored state, the others from zero.

    Args:
        core: one layer.
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
    # Stretches are numbered row by row, in the order of time.
    stretch = (starts.T.flatten().cumsum(0) - 1).view(rows, length).T
    count = int(stretch[-1, -1]) + 1
    steps = torch.arange(length, device=is_first.device).unsqueeze(1).expand(-1, rows)
    began = torch.where(starts, steps, 0).cummax(0).values
    place = steps - began
    padded = inputs.new_zeros(int(place.max()) + 1, count, inputs.shape[-1])
    padded = padded.index_put((place, stretch), inputs)
    keep = (~is_first[0]).unsqueeze(-1)
    blank = hidden.new_zeros(count, hidden.shape[-1])
    state = tuple(
        blank.index_copy(0, stretch[0], before * keep).unsqueeze(0) for before in (hidden, cell)
    )
    out, _ = core(padded, state)
    return out[place, stretch]


class LSTM(Agent[LSTMMemory]):
    """Encoder, LSTM layers, policy and value heads; truncated back-propagation over the segment.

    The state at a segment's start is the one stored when it was collected (as in R2D2, Kapturowski
    et al. 2019, section 2.3), and is cleared where an episode begins inside it.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, config: LSTMConfig):
        super().__init__()
        self.config = config
        actions = num_actions(action_space)
        self.embedding = StepEmbedding(observation_space, actions, config)
        self.layers = nn.ModuleList(LSTMLayer(config) for _ in range(config.layers))
        self.heads = Heads(config.width, actions)

    def _layers(self) -> list[LSTMLayer]:
        return [layer for layer in self.layers if isinstance(layer, LSTMLayer)]

    def initial_memory(self, batch_size: int) -> LSTMMemory:
        """Return zero states for `batch_size` environments."""
        shape = (self.config.layers, batch_size, self.config.width)
        zeros = self.heads.policy.weight.new_zeros(shape)
        return LSTMMemory(zeros, zeros.clone(), self.embedding.nothing_seen(batch_size))

    @torch.no_grad()
    def act(
        self, step: TimeStep, memory: LSTMMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, LSTMMemory]:
        """Choose actions for one step `[B]`."""
        state, seen = self.embedding.act(step, memory.seen)
        keep = (~step.is_first).unsqueeze(-1)
        after = []
        for layer, hidden, cell in zip(self._layers(), memory.hidden, memory.cell, strict=True):
            state, *new = layer.act(state, hidden * keep, cell * keep)
            after.append(new)
        hiddens, cells = (torch.stack(states) for states in zip(*after, strict=True))
        return self.heads.act(state, greedy=greedy), LSTMMemory(hiddens, cells, seen)

    def unroll(self, steps: TimeStep, memory: LSTMMemory) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients."""
        embedded, _ = self.embedding(steps, memory.seen)
        states = embedded
        for layer, hidden, cell in zip(self._layers(), memory.hidden, memory.cell, strict=True):
            states = layer.unroll(states, steps.is_first, hidden, cell)
        logits, value = self.heads(states)
        spans = value.new_zeros(0, *value.shape)
        return AgentOutput(
            logits,
            value,
            value.new_zeros(()),
            spans,
            reconstruction_loss=self.embedding.reconstruction_loss(embedded, steps.obs),
            value_scale=self.heads.value.scale,
        )

    def update_value_stats(self, returns: Tensor) -> None:
        """Bring the units of the value up to date with returns `[K]`; values stay as they are."""
        self.heads.value.follow(returns)
