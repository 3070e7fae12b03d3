"""What an Instruction episode will bring: when which sentence is heard, and which place reached."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from envs.array_env.batch import IntArray
from envs.draws import UIntArray, below, chance, draw, orders
from envs.instruction.grammar import Language

LONGEST = 1_000_000
_FIRST_DRAW = {
    "places": 0,
    "deeds": 1000,
    "heard": 2000,
    "order": 3000,
    "decoy": 4000,
    "reached": 5000,
    "early": 6000,
    "speech": 7000,
    "walk": 8000,
}
"""Draws of an episode's key (see `envs.draws.draw`)."""
_SPEECH_STRIDE = 7919


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


class Errand(NamedTuple):
    """What M episodes begin with, int64.

    Attributes:
        places: `[M, places]`, all places in random order; the first `given` have an instruction.
        at: `[M, said]`, when each sentence that asks for something is heard.
        what: `[M, said]`, which those are: the instructions, first those that stand, then
            withdrawals, then what is said to others.
        chatter: `[M]`, what is heard at first otherwise.
    """

    places: IntArray
    at: IntArray
    what: IntArray
    chatter: IntArray


class Scriptwriter:
    """Draws what episodes of one size bring.

    Args:
        size: how much there is to remember.
        language: the sentences.
    """

    def __init__(self, size: InstructionSize, language: Language):
        self._size, self._language = size, language
        self._errand_draws = _Draws(
            places=language.places,
            deeds=language.deeds,
            heard=size.said,
            order=size.said,
            decoy=size.decoys,
            speech=1,
        )
        self._walk_draws = _Draws(
            reached=size.visits, walk=size.visits, early=size.visits if size.ordered else 0
        )

        self._hearing = _Parts(size.said, 0, size.heard)
        self._walking = _Parts(size.visits, size.first_arrival, size.max_distance + 1)

    def errand(self, keys: UIntArray) -> Errand:
        """Draw what the episodes of these keys, uint64 `[M]`, begin with."""
        size, language = self._size, self._language
        bits = self._errand_draws.of(keys)
        places = orders(bits["places"])
        deeds = orders(bits["deeds"])[:, : size.given]
        at = _in_order(self._hearing.times(bits["heard"]), orders(bits["order"]))
        # In the order heard, and a withdrawal after what it withdraws.
        at[:, : size.instructions].sort(axis=1)
        first, second = at[:, size.instructions : size.given], at[:, size.given :]
        second = second[:, : size.withdrawn]
        at[:, size.instructions : size.given + size.withdrawn] = np.concatenate(
            [np.minimum(first, second), np.maximum(first, second)], axis=1
        )
        what = [
            language.instruction(places[:, : size.given], deeds),
            language.withdrawal(deeds[:, size.instructions :]),
            language.decoys.take(below(bits["decoy"], np.uint64(len(language.decoys)))),
        ]
        chatter = language.chatter(bits["speech"][:, 0])
        return Errand(places, at, np.concatenate(what, axis=1), chatter)

    def walk(self, keys: UIntArray, places: IntArray) -> tuple[IntArray, IntArray]:
        """Draw when which of the places that have an instruction are reached.

        Args:
            keys: of the episodes, uint64 `[M]`.
            places: the episodes', as `errand` drew them, `[M, places]`.

        Returns:
            When, -1 for never, and the arrivals, each `[M, visits]`.
        """
        size = self._size
        bits = self._walk_draws.of(keys)
        at = _in_order(self._walking.times(bits["reached"]), orders(bits["walk"]))
        which = np.arange(size.given)
        if size.ordered:
            # Withdrawn ones at any time; 1 before its turn, 0, 2 before its turn, 1, ..., the last.
            turns = np.repeat(np.arange(size.instructions), 2)[1:]
            turns[:-1] = turns[:-1].reshape(-1, 2)[:, ::-1].ravel()
            which = np.concatenate([which[size.instructions :], turns])
            at[:, size.withdrawn :].sort(axis=1)
            early = slice(size.withdrawn, size.visits - 1, 2)
            at[:, early] = np.where(chance(bits["early"][:, early], 0.5), at[:, early], -1)
        return at, self._language.arrival(places[:, which])


def speech(keys: UIntArray, time: npt.NDArray[Any]) -> UIntArray:
    """Draw the random bits `[M]` of what episodes of `keys` `[M]` say at `time` `[M]`."""
    return draw(keys, _FIRST_DRAW["speech"] + _SPEECH_STRIDE * time.astype(np.int64))


class _Draws:
    """Several kinds of random bits of a key at once: several times faster than one by one."""

    def __init__(self, **counts: int):
        edges = np.cumsum([0, *counts.values()]).tolist()
        self._columns = dict(zip(counts, map(slice, edges[:-1], edges[1:]), strict=True))
        firsts = (_FIRST_DRAW[name] + np.arange(count) for name, count in counts.items())
        self._indices = np.concatenate(list(firsts))

    def of(self, keys: UIntArray) -> dict[str, UIntArray]:
        """Draw each kind `[M, count]` for these keys, uint64 `[M]`."""
        drawn = draw(keys[:, None], self._indices)
        return {name: drawn[:, columns] for name, columns in self._columns.items()}


class _Parts:
    """Times of [low, high), in K equal parts."""

    def __init__(self, count: int, low: int, high: int):
        edges = low + np.arange(count + 1) * (high - low) // max(1, count)
        self._first, self._width = edges[:-1], np.diff(edges).astype(np.uint64)

    def times(self, bits: UIntArray) -> IntArray:
        """Draw times `[M, K]`, in order, one in each part."""
        return self._first + below(bits, self._width)


def _in_order(values: IntArray, order: IntArray) -> IntArray:
    """Put each row of values `[M, K]` in its own order `[M, K]`."""
    rows = np.arange(len(values))[:, None] * values.shape[1]
    return values.ravel()[order + rows]
