"""GRU: a recurrent baseline with one state, where an LSTM has two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from agents.recurrent import RecurrentAgent, RecurrentConfig, RecurrentLayer, States, chrono_init


@dataclass(frozen=True)
class GRUConfig(RecurrentConfig):
    """GRU: a recurrent baseline with one state, where an LSTM has two."""

    name: ClassVar[str] = "gru"


class GRULayer(RecurrentLayer):
    """A layer whose core is a GRU."""

    STATES = ("hidden",)

    def __init__(self, config: GRUConfig):
        """Create the weights; PyTorch's update gate is the share of the state that is kept."""
        core = nn.GRU(config.width, config.width)
        super().__init__(core, config)
        chrono_init(core, config.time_scale, gates=3, keep=1)

    def run_core(self, inputs: Tensor, states: States) -> tuple[Tensor, States]:
        """Run the GRU over sequences; see `RunCore`."""
        out, hidden = self.core(inputs, *states)
        return out, (hidden,)


class GRU(RecurrentAgent[GRUConfig]):
    """Gated recurrent unit (Cho et al. 2014)."""

    def make_layer(self) -> GRULayer:
        """Return a new layer."""
        return GRULayer(self.config)
