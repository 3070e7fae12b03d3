"""State of recurrent agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rl_expire.validate import check_fit


@dataclass
class RecurrentMemory:
    """State of a recurrent agent.

    Attributes:
        states: states of all layers' cores, `[N, B, D]` each, by name.
        seen: `[B, D]`, the encoded previous observation; `[B, 0]` if states do not include it.
    """

    states: dict[str, Tensor]
    seen: Tensor

    def select(self, rows: Tensor) -> RecurrentMemory:
        """Return a copy with only the environments `rows [K]`."""
        states = {name: x[:, rows] for name, x in self.states.items()}
        return RecurrentMemory(states, self.seen[rows])

    def snapshot(self) -> RecurrentMemory:
        """Return a detached copy."""
        return self.from_state({name: x.detach() for name, x in self.state_dict().items()})

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes."""
        return self.seen.nbytes + sum(x.nbytes for x in self.states.values())

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all tensors."""
        return {name: x.clone() for name, x in self._tensors().items()}

    @staticmethod
    def from_state(state: dict[str, Tensor]) -> RecurrentMemory:
        """Return a memory made of the tensors themselves that another's `state_dict` returned."""
        states = dict(state)
        return RecurrentMemory(seen=states.pop("seen"), states=states)

    def restored(self, state: Any) -> RecurrentMemory:
        """Return a new memory made from the `state_dict` of another.

        Raises:
            ValueError: `state` does not fit the layers, rows and widths of this memory.
        """
        check_fit(state, self._tensors(), "memory")
        device = self.seen.device
        return self.from_state({name: x.to(device, copy=True) for name, x in state.items()})

    def _tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        return {**self.states, "seen": self.seen}
