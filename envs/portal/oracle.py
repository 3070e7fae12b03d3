"""A scripted policy for the Portal maze that sees what an agent sees and forgets no door."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray, IntArray, Observation
from envs.array_env.oracle import Oracle
from envs.minigrid_view import FORWARD, GOAL, LEFT, RIGHT, unpack

_UNKNOWN, _NORTH, _SOUTH = -1, 0, 1
_GOAL = int(unpack(np.array([GOAL], np.uint32))[0, 0])


class PortalOracle(Oracle):
    """A policy that takes the door that leads on if it knows it, else the north door.

    It uses only observations and its own memory. It recognises the first room by its sign and
    counts rooms, so it does not need rooms to look different.
    """

    def __init__(self, num_envs: int, rooms: int, room_length: int) -> None:
        """Prepare the memory of N policies.

        Args:
            num_envs: Number of environments, N.
            rooms: Largest number of rooms of a maze.
            room_length: Length of a room, in columns.
        """
        self.room_length = room_length
        self._right = np.full((num_envs, rooms), _UNKNOWN)
        self._room = np.zeros(num_envs, np.int64)
        self._step = np.zeros(num_envs, np.int64)

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Choose an action for each maze from observations `[N, view, view, 3]`."""
        self._right[is_first] = _UNKNOWN
        self._room[is_first] = self._step[is_first] = 0
        rows = np.arange(len(obs))
        arrived = self._step == self.room_length + 1
        self._arrive(rows[arrived], obs[arrived])
        self._step[arrived] = 0
        door = np.maximum(self._right[rows, self._room], _NORTH)
        turn = np.where(door == _NORTH, LEFT, RIGHT)
        action: npt.NDArray[Any] = np.where(self._step == self.room_length - 1, turn, FORWARD)
        self._step += 1
        return action

    def _arrive(self, rows: npt.NDArray[np.int64], obs: npt.NDArray[np.uint8]) -> None:
        """Note where the door led that the agents `rows` `[M]` have just taken."""
        sign = obs[:, obs.shape[1] // 2 - 1, -1, 0]
        back = sign == _GOAL
        room = self._room[rows]
        tried = np.maximum(self._right[rows, room], _NORTH)
        self._right[rows, room] = np.where(back, _NORTH + _SOUTH - tried, tried)
        self._room[rows] = np.where(back, 0, room + 1)
