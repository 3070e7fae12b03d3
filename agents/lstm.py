"""LSTM: the recurrent baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from agents.recurrent import RecurrentAgent, RecurrentConfig, RecurrentLayer, States, chrono_init


@dataclass(frozen=True)
class LSTMConfig(RecurrentConfig):
    """LSTM: the recurrent baseline."""

    name: ClassVar[str] = "lstm"


class LSTMLayer(RecurrentLayer):
    """A layer whose core is an LSTM."""

    STATES = ("hidden", "cell")

    def __init__(self, config: LSTMConfig):
        """Create the weights; the input gate opens as much as the forget gate closes."""
        core = nn.LSTM(config.width, config.width)
        super().__init__(core, config)
        input_gate, forget_gate, _, _ = chrono_init(core, config.time_scale, gates=4, keep=1)
        with torch.no_grad():
            input_gate.copy_(-forget_gate)

    def run_core(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        """Run the LSTM over sequences; see `RunCore`."""
        return self.core(inputs, states)


class LSTM(RecurrentAgent[LSTMConfig]):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with forget gates."""

    def make_layer(self) -> LSTMLayer:
        """Return a new layer."""
        return LSTMLayer(self.config)
