"""What an Instruction episode will bring: when which sentence is heard, and which place reached."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from envs.array_env import IntArray
from envs.draws import UIntArray, below, chance, draw, orders, within
from envs.instruction_grammar import NAMES, Language

LONGEST = 1_000_000
_FIRST_DRAW = {
    "places": 0,
    "deeds": 1000,
    "heard": 2000,
    "order": 3000,
    "decoy_place": 4000,
    "decoy_deed": 4100,
    "decoy_to": 4200,
    "decoy_undoes": 4300,
    "reached": 5000,
    "early": 6000,
    "walk": 8000,
}
"""Draws of an episode's key (see `envs.draws.draw`); 7000 is what each step draws."""


@dataclass(frozen=True)
class InstructionSize:
    """How much there is to remember, and for how long.

    The first `heard` sentences hold all that is said to anybody, the last `walk` all arrivals. How
    many there are of each follows from the distances: the last that can be heard and the first
    place that can be reached are `min_distance` apart, the first and the last `max_distance`.
    """

    instructions: int
    withdrawn: int
    decoys: int
    chatter: float
    min_distance: int
    max_distance: int
    ordered: bool

    @property
    def given(self) -> int:
        """Instructions to the agent, those included that are withdrawn later."""
        return self.instructions + self.withdrawn

    @property
    def said(self) -> int:
        """Sentences that ask somebody for something."""
        return self.given + self.withdrawn + self.decoys

    @property
    def visits(self) -> int:
        """Arrivals at places of which the agent was told something."""
        return self.given + (self.instructions - 1 if self.ordered else 0)

    @property
    def heard(self) -> int:
        """Sentences in which all is said."""
        return ceil(self.said / (1 - self.chatter))

    @property
    def first_arrival(self) -> int:
        """The first sentence that can be an arrival."""
        return self.heard - 1 + self.min_distance

    @property
    def walk(self) -> int:
        """Sentences from the first possible arrival to the last."""
        return self.max_distance + 1 - self.first_arrival

    def check(self, places: int, deeds: int) -> None:
        """Refuses what there is no room, and no words, for."""
        for name, least in (("instructions", 1), ("withdrawn", 0), ("decoys", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}={getattr(self, name)} is impossible: give {least} or more"
                )
        if not 0 <= self.chatter < 1:
            raise ValueError(f"chatter={self.chatter} is impossible: give 0 to below 1")
        if self.given >= places:
            raise ValueError(
                f"places={places} are too few for {self.given} instructions: "
                f"give places >= {self.given + 1}"
            )
        if self.given > deeds:
            raise ValueError(
                f"deeds={deeds} are too few for {self.given} instructions: "
                f"give deeds >= {self.given}"
            )
        if self.min_distance < 1:
            raise ValueError(f"min_distance={self.min_distance} is impossible: give 1 or more")
        least = self.first_arrival - 1 + self.visits
        if not least <= self.max_distance <= LONGEST:
            raise ValueError(
                f"max_distance={self.max_distance} is impossible here: give {least} to {LONGEST}"
            )


class Script(NamedTuple):
    """What M episodes will bring, int64.

    Attributes:
        places: `[M, places]`, all places in random order; the first `given` have an instruction.
        deeds: `[M, given]`, what is to be done at those.
        at: `[M, E]`, when each of the sentences that matter is read; -1: never.
        what: `[M, E]`, which sentences those are: the instructions, first those that stand, then
            what else is said, then the arrivals.
    """

    places: IntArray
    deeds: IntArray
    at: IntArray
    what: IntArray


class Scriptwriter:
    """Draws what episodes of one size bring.

    All that an episode needs is drawn at once, which is several times faster than piece by piece.

    Args:
        size: how much there is to remember.
        language: the sentences.
    """

    def __init__(self, size: InstructionSize, language: Language):
        self._size, self._language = size, language
        counts = {
            "places": language.places,
            "deeds": language.deeds,
            "heard": size.said,
            "order": size.said,
            "decoy_place": size.decoys,
            "decoy_deed": size.decoys,
            "decoy_to": size.decoys,
            "decoy_undoes": size.decoys,
            "reached": size.visits,
            "early": size.visits if size.ordered else size.instructions,
            "walk": size.visits,
        }
        edges = np.cumsum([0, *counts.values()]).tolist()
        self._columns = dict(zip(counts, map(slice, edges[:-1], edges[1:]), strict=True))
        firsts = (_FIRST_DRAW[name] + np.arange(count) for name, count in counts.items())
        self._indices = np.concatenate(list(firsts))

    def write(self, keys: UIntArray) -> Script:
        """Draw the episodes of these keys, uint64 `[M]`."""
        drawn = draw(keys[:, None], self._indices)
        bits = {name: drawn[:, columns] for name, columns in self._columns.items()}
        places = orders(bits["places"])
        deeds = orders(bits["deeds"])[:, : self._size.given]
        here = places[:, : self._size.given]
        said_at, said = self._say(bits, here, deeds)
        reached_at, reached = self._visit(bits, here)
        return Script(
            places,
            deeds,
            np.concatenate([said_at, reached_at], axis=1),
            np.concatenate([said, reached], axis=1),
        )

    def _say(
        self, bits: dict[str, UIntArray], places: IntArray, deeds: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Draw when all is said `[M, said]`, and what: instructions, withdrawals, decoys."""
        size, language = self._size, self._language
        times = _one_in_each_part(bits["heard"], 0, size.heard)
        at = np.take_along_axis(times, orders(bits["order"]), axis=1)
        # In the order heard, and a withdrawal after what it withdraws.
        at[:, : size.instructions].sort(axis=1)
        first, second = at[:, size.instructions : size.given], at[:, size.given :]
        second = second[:, : size.withdrawn]
        at[:, size.instructions : size.given + size.withdrawn] = np.concatenate(
            [np.minimum(first, second), np.maximum(first, second)], axis=1
        )
        nobody = np.zeros_like(places)
        place = within(bits["decoy_place"], 0, language.places - 1)
        deed = within(bits["decoy_deed"], 0, language.deeds - 1)
        to = within(bits["decoy_to"], 1, len(NAMES))
        undoes = chance(bits["decoy_undoes"], 0.25)
        what = [
            language.instruction(places, deeds, nobody),
            language.withdrawal(deeds[:, size.instructions :], nobody[:, size.instructions :]),
            np.where(undoes, language.withdrawal(deed, to), language.instruction(place, deed, to)),
        ]
        return at, np.concatenate(what, axis=1)

    def _visit(self, bits: dict[str, UIntArray], places: IntArray) -> tuple[IntArray, IntArray]:
        """Draw when the places of instructions are reached `[M, visits]`, and which."""
        size = self._size
        times = _one_in_each_part(bits["reached"], size.first_arrival, size.max_distance + 1)
        at = np.take_along_axis(times, orders(bits["walk"]), axis=1)
        at[:, size.withdrawn :].sort(axis=1)
        if size.ordered:
            # 1 before its turn, 0, 2 before its turn, 1, and so on, and the last.
            turns = np.repeat(np.arange(size.instructions), 2)[1:]
            turns[:-1] = turns[:-1].reshape(-1, 2)[:, ::-1].ravel()
            early = slice(size.withdrawn, size.visits - 1, 2)
            at[:, early] = np.where(chance(bits["early"][:, early], 0.5), at[:, early], -1)
            which = np.broadcast_to(turns, (len(places), len(turns)))
        else:
            which = orders(bits["early"])
        kept = np.take_along_axis(places, which, axis=1)
        place = np.concatenate([places[:, size.instructions :], kept], axis=1)
        return at, self._language.arrival(place)


def _one_in_each_part(bits: UIntArray, low: int, high: int) -> IntArray:
    """Draw times `[M, K]` of [low, high), in order, one in each of K equal parts."""
    count = bits.shape[1]
    edges = low + np.arange(count + 1) * (high - low) // max(1, count)
    width = (edges[1:] - edges[:-1]).astype(np.uint64)
    return edges[:-1] + below(bits, width)
