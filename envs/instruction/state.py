"""The state of N Instruction episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import BoolArray, IntArray
from envs.array_env.state import BatchState
from envs.draws import UIntArray

NOWHERE = -2
"""Stands for "no place" in `InstructionState.place`; no sentence is an arrival there."""


@dataclass
class InstructionState(BatchState):
    """State of N episodes: arrays `[N, ...]`.

    An event is a sentence that matters: one that is said to somebody, or the arrival at a place for
    which there is an instruction.
    """

    key: UIntArray
    """The episode's key."""
    time: npt.NDArray[np.int32]
    """Index of the current sentence, from 0."""
    sentence: IntArray
    """The current sentence."""
    length: npt.NDArray[np.int32]
    """Number of sentences of the episode."""
    first_arrival: npt.NDArray[np.int32]
    """Index of the first sentence that can be an arrival."""
    at: npt.NDArray[np.int32]
    """`[N, E]`, the time of each event; -1 for unused entries."""
    what: npt.NDArray[np.int32]
    """`[N, E]`, the sentence of each event: first the instructions that stand, then those that
    will be withdrawn, then the rest."""
    event: npt.NDArray[np.int32]
    """The current event; -1 if there is none."""
    place: npt.NDArray[np.int8]
    """`[N, I]`, the place of each instruction that stands, in the order heard; `NOWHERE` for unused
    entries and for instructions carried out."""
    fillers: npt.NDArray[np.int8]
    """`[N, P]`, all places, those without an instruction last."""
    given: npt.NDArray[np.int8]
    """Number of places in `fillers` that have an instruction."""
    asked: npt.NDArray[np.int8]
    """Number of instructions that stand."""
    carried: npt.NDArray[np.int64]
    """Number of instructions carried out."""
    success: BoolArray
    """Whether the last instruction has just been carried out."""

    @classmethod
    def zeros(cls, count: int, events: int, instructions: int, places: int) -> InstructionState:
        """Return the state of `count` worlds before their first episode."""
        return cls(
            key=np.zeros(count, np.uint64),
            time=np.zeros(count, np.int32),
            sentence=np.zeros(count, np.int64),
            length=np.ones(count, np.int32),
            first_arrival=np.zeros(count, np.int32),
            at=np.full((count, events), -1, np.int32),
            what=np.zeros((count, events), np.int32),
            event=np.full(count, -1, np.int32),
            place=np.full((count, instructions), NOWHERE, np.int8),
            fillers=np.zeros((count, places), np.int8),
            given=np.zeros(count, np.int8),
            asked=np.ones(count, np.int8),
            carried=np.zeros(count, np.int64),
            success=np.zeros(count, np.bool_),
        )
