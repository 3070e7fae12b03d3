"""The state of N Portal mazes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray
from envs.array_env.state import BatchState


@dataclass
class PortalState(BatchState):
    """State of N mazes of at most R rooms: arrays `[N, ...]`."""

    x: npt.NDArray[np.int32]
    """The agent's column in its room; the agent always walks on the middle row."""
    direction: npt.NDArray[np.int32]
    """The agent's direction, MiniGrid's 0 (east) to 3 (north)."""
    room: npt.NDArray[np.int32]
    """The room that the agent is in, from 0; `rooms` after the last."""
    rooms: npt.NDArray[np.int32]
    """Number of rooms of the maze."""
    ceiling: npt.NDArray[np.float64]
    """Number of rooms that perfect memory passes on average."""
    reached: npt.NDArray[np.int32]
    """The furthest room so far."""
    sign: npt.NDArray[np.uint8]
    """`[N, R]`, the sign of each room."""
    doors: npt.NDArray[np.uint8]
    """`[N, R, 2]`, colours of the north and the south door."""
    right: npt.NDArray[np.uint8]
    """`[N, R]`, the door that leads on: 0 north, 1 south."""
    known: BoolArray
    """`[N, R]`, whether a door of the room has been tried."""
    revealed: BoolArray
    """Whether the last step has shown for the first time where a door of a room leads."""
    success: BoolArray
    """Whether the last room has just been passed."""

    @classmethod
    def zeros(cls, count: int, rooms: int) -> PortalState:
        """Return the state of `count` mazes before their first episode."""
        return cls(
            x=np.zeros(count, np.int32),
            direction=np.zeros(count, np.int32),
            room=np.zeros(count, np.int32),
            rooms=np.ones(count, np.int32),
            ceiling=np.ones(count),
            reached=np.zeros(count, np.int32),
            sign=np.zeros((count, rooms), np.uint8),
            doors=np.zeros((count, rooms, 2), np.uint8),
            right=np.zeros((count, rooms), np.uint8),
            known=np.zeros((count, rooms), np.bool_),
            revealed=np.zeros(count, np.bool_),
            success=np.zeros(count, np.bool_),
        )
