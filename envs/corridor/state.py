"""The state of N corridors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray
from envs.array_env.state import BatchState
from envs.draws import UIntArray


@dataclass
class CorridorState(BatchState):
    """State of N corridors: arrays `[N]`."""

    x: npt.NDArray[np.int32]
    """The agent's column; the agent always walks on the middle row."""
    direction: npt.NDArray[np.int32]
    """The agent's direction, MiniGrid's 0 (east) to 3 (north)."""
    length: npt.NDArray[np.int32]
    """Column of the first junction."""
    num_cues: npt.NDArray[np.int32]
    """Number of cues, and of junctions."""
    solved: npt.NDArray[np.int32]
    """Number of junctions solved so far."""
    key: UIntArray
    """The episode's key."""
    cues: UIntArray
    """Bit k is the colour of cue k: 0 red, 1 blue."""
    sides: UIntArray
    """Bit k is the colour of junction k's north ball; the south ball has the other colour."""
    success: BoolArray
    """Whether the last junction has just been solved."""

    @classmethod
    def zeros(cls, count: int) -> CorridorState:
        """Return the state of `count` corridors before their first episode."""
        return cls(
            x=np.zeros(count, np.int32),
            direction=np.zeros(count, np.int32),
            length=np.zeros(count, np.int32),
            num_cues=np.ones(count, np.int32),
            solved=np.zeros(count, np.int32),
            key=np.zeros(count, np.uint64),
            cues=np.zeros(count, np.uint64),
            sides=np.zeros(count, np.uint64),
            success=np.zeros(count, np.bool_),
        )

    def junction(self) -> npt.NDArray[np.int32]:
        """Return the column of the next junction to solve `[N]`, the furthest one can walk."""
        return self.length + 2 * np.minimum(self.solved, self.num_cues - 1)
