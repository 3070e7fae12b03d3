"""A layer with a recurrent core, run over one step or a segment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from agents.recurrent.config import RecurrentConfig
from rl_expire.memory.feed_forward import FeedForward

States = tuple[Tensor, ...]
"""States of a core: one for a GRU, two for an LSTM."""
RunCore = Callable[[Tensor, States], tuple[Tensor, States]]
"""Map inputs `[T, B, D]` and states `[1, B, D]` to outputs and last states of these shapes."""


class RecurrentLayer(nn.Module, ABC):
    """Pre-norm residual layer like that of the transformers, with a core in place of attention.

    Args:
        core: maps inputs of width D to outputs of width D.
        config: the options.
    """

    STATES: ClassVar[tuple[str, ...]]
    """Names of the core's states."""

    def __init__(self, core: nn.RNNBase, config: RecurrentConfig):
        """Create the other weights."""
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.core = core
        self.feed_forward = FeedForward(config.width, config.feed_forward * config.width)

    @abstractmethod
    def run_core(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        """Run the core over sequences; see `RunCore`."""

    def act(self, state: Tensor, states: States) -> tuple[Tensor, States]:
        """Return the input of the next layer and the core's new states, `[B, D]` each."""
        inputs = self.norm(state).unsqueeze(0)
        out, states = self.run_core(inputs, tuple(x.unsqueeze(0) for x in states))
        state = state + out[0]
        return state + self.feed_forward(state), tuple(x[0] for x in states)

    def unroll(self, steps: Tensor, is_first: Tensor, states: States) -> Tensor:
        """Process `steps [T, B, D]` at once, with the same result as `act` step by step."""
        steps = steps + run_segment(self.run_core, self.norm(steps), is_first, states)
        return steps + self.feed_forward(steps)


def run_segment(core: RunCore, inputs: Tensor, is_first: Tensor, states: States) -> Tensor:
    """Run a fused core over a segment in one call, wherever episodes start in it.

    Each part of an episode becomes a sequence of its own: the first of each row starts from the
    row's stored states, the others start from zeros.

    Args:
        core: of one layer.
        inputs: `[T, B, D]`.
        is_first: `[T, B]` bool.
        states: the states before the segment, `[B, D]` each.

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
    zeros = states[0].new_zeros(count, states[0].shape[-1])
    first = tuple(zeros.index_copy(0, sequence[0], x * keep).unsqueeze(0) for x in states)
    out, _ = core(padded, first)
    return out[place, sequence]


@torch.no_grad()
def chrono_init(core: nn.RNNBase, longest: int, *, gates: int, keep: int) -> list[Tensor]:
    """Initialise the biases of `core` so that its units remember for 2 to `longest` steps.

    The bias of the gate that keeps the state is log(t - 1) for a memory of t steps, t drawn
    uniformly (Tallec and Ollivier 2018: chrono initialisation); all others are zero. With PyTorch's
    default, a unit loses half its content at every step, so that nothing from before a segment is
    left to learn from.

    Args:
        core: of one layer.
        longest: longest time.
        gates: number of parts of the bias, which PyTorch stores as one.
        keep: index of the gate that keeps the state.

    Returns:
        Each gate's bias, a part of the core's.
    """
    _, _, bias, other_bias = core.all_weights[0]
    bias.zero_()
    other_bias.zero_()
    parts = list(bias.chunk(gates))
    parts[keep].uniform_(1, longest - 1).log_()
    return parts
