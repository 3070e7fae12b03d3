"""Memory of a transformer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from rl_expire.memory.slot_memory import SlotMemory
from rl_expire.validate import check_fit, check_keys


@dataclass
class TransformerMemory:
    """The slots of every layer, and what the next step needs of the one before.

    Attributes:
        layers: N slot memories.
        clock: `[B]` int64, steps since the start of each row's episode.
        seen: `[B, D]`, the encoded previous observation; `[B, 0]` if states do not include it.
        attention: the attention weights `[B, H, S]` of each layer in the last `act`, for `view`.
    """

    layers: list[SlotMemory]
    clock: Tensor
    seen: Tensor
    attention: list[Tensor]

    def select(self, rows: Tensor) -> TransformerMemory:
        """Return a copy with only the environments `rows [K]`."""
        layers = [slots.map(lambda x: x[rows]) for slots in self.layers]
        return TransformerMemory(layers, self.clock[rows], self.seen[rows], [])

    def snapshot(self) -> TransformerMemory:
        """Return a detached copy."""
        layers = [slots.map(lambda x: x.detach().clone()) for slots in self.layers]
        return TransformerMemory(layers, self.clock.clone(), self.seen.clone(), [])

    @property
    def nbytes(self) -> int:
        """Size of all tensors but the attention weights, in bytes."""
        return self.clock.nbytes + self.seen.nbytes + sum(slots.nbytes for slots in self.layers)

    def _row_tensors(self) -> dict[str, Tensor]:
        """Return the tensors `[B, ...]` that do not belong to a layer, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all tensors but the attention weights."""
        rows = {name: value.clone() for name, value in self._row_tensors().items()}
        return rows | {"layers": [slots.state_dict() for slots in self.layers]}

    @staticmethod
    def from_state(state: dict[str, Any]) -> TransformerMemory:
        """Return a memory made of the tensors themselves that another's `state_dict` returned."""
        layers = [SlotMemory(**slots) for slots in state["layers"]]
        return TransformerMemory(layers, state["clock"], state["seen"], [])

    def restored(self, state: Any) -> TransformerMemory:
        """Return a new memory made from the `state_dict` of another.

        Raises:
            ValueError: `state` does not fit the layers, rows and widths of this memory.
        """
        own = self._row_tensors()
        check_keys(state, (*own, "layers"), "memory")
        check_fit({name: state[name] for name in own}, own, "memory")
        rows = {name: state[name].to(value.device, copy=True) for name, value in own.items()}
        if bool((rows["clock"] < 0).any()):
            raise ValueError("memory/clock is negative")
        if not isinstance(state["layers"], list) or len(state["layers"]) != len(self.layers):
            raise ValueError(f"memory/layers is not a list of length {len(self.layers)}")
        layers = [
            slots.restored(saved, rows["clock"], f"memory/layers/{n}")
            for n, (slots, saved) in enumerate(zip(self.layers, state["layers"], strict=True))
        ]
        return replace(self, layers=layers, attention=[], **rows)
