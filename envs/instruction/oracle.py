"""A scripted policy for the Instruction task that reads what an agent reads and forgets nothing."""

from __future__ import annotations

import numpy as np

from envs.array_env.arrays import BoolArray, IntArray, Observation
from envs.array_env.oracle import Oracle
from envs.instruction.grammar import Language, read


class InstructionOracle(Oracle):
    """A policy that notes instructions, deletes withdrawn ones, and carries out what is due.

    It uses only observations and its own memory, so an agent could achieve the same return.
    """

    def __init__(self, num_envs: int, language: Language, *, ordered: bool) -> None:
        """Prepare the memory of N policies.

        Args:
            num_envs: Number of environments, N.
            language: The sentences.
            ordered: Whether instructions must be carried out in the order heard.
        """
        self.ordered = ordered
        self._meaning = {
            tokens.tobytes(): read(str(text))
            for tokens, text in zip(language.tokens, language.texts, strict=True)
        }
        # The deeds that are still to be done, by place, in the order heard.
        self._notes: list[dict[int, int]] = [{} for _ in range(num_envs)]

    def act(self, obs: Observation, is_first: BoolArray) -> IntArray:
        """Choose an action for each world from sentences `[N, W]`."""
        action = np.zeros(len(obs), np.int64)
        for row, tokens in enumerate(obs.astype(np.uint8)):
            if is_first[row]:
                self._notes[row] = {}
            action[row] = self._answer(self._notes[row], tokens.tobytes())
        return action

    def _answer(self, notes: dict[int, int], tokens: bytes) -> int:
        """Update the notes with one sentence; return the action."""
        meaning = self._meaning[tokens]
        if meaning.to is not None:
            return 0
        if meaning.kind == "instruction":
            assert meaning.place is not None
            assert meaning.deed is not None
            notes[meaning.place] = meaning.deed
        elif meaning.kind == "withdrawal":
            for place in [place for place, deed in notes.items() if deed == meaning.deed]:
                del notes[place]
        elif meaning.kind == "arrival" and meaning.place in notes:
            its_turn = not self.ordered or next(iter(notes)) == meaning.place
            return 1 + notes.pop(meaning.place) if its_turn else 0
        return 0
