"""The language of the Instruction task: every possible sentence, its tokens and its meaning.

Words and punctuation marks are separated by single spaces, so that tokenizing is splitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["instruction", "withdrawal", "arrival", "chatter"]

PLACES = (
    *("tower", "mill", "bridge", "well", "market", "harbour"),
    *("chapel", "forest", "quarry", "garden", "stable", "inn"),
)
DEEDS = (
    *(("ring", "bell"), ("light", "lamp"), ("open", "gate"), ("blow", "horn")),
    *(("raise", "flag"), ("feed", "horse"), ("wind", "clock"), ("sweep", "floor")),
)
"""Verbs and their objects."""
NAMES = ("anna", "boris", "clara", "david")
LOOKS = ("old", "new", "broken", "lost")
ANIMALS = ("fox", "crow", "hare", "toad")
SKIES = ("sunny", "windy", "foggy", "cold")
PAD = "_"


@dataclass(frozen=True)
class Meaning:
    """The meaning of a sentence.

    Attributes:
        kind: Kind of sentence.
        place: Index into `PLACES`, for instructions and arrivals.
        deed: Index into `DEEDS`, for instructions and withdrawals.
        to: Index into `NAMES` of the person addressed; None for the agent.
    """

    kind: Kind
    place: int | None = None
    deed: int | None = None
    to: int | None = None


def write(meaning: Meaning) -> str:
    """Return the sentence with this meaning, which must not be chatter."""
    who = "" if meaning.to is None else f"{NAMES[meaning.to]} , "
    place = "" if meaning.place is None else PLACES[meaning.place]
    verb, thing = ("", "") if meaning.deed is None else DEEDS[meaning.deed]
    if meaning.kind == "instruction":
        return f"{who}when you reach the {place} , {verb} the {thing} ."
    if meaning.kind == "withdrawal":
        return f"{who}forget the {thing} ."
    return f"you reach the {place} ."


def read(sentence: str) -> Meaning:
    """Return the meaning of a sentence.

    Raises:
        ValueError: If the sentence is not in the language.
    """
    words = sentence.split()
    to = None
    if words[:1] and words[0] in NAMES and words[1:2] == [","]:
        to, words = NAMES.index(words[0]), words[2:]
    things = [thing for _, thing in DEEDS]
    match words:
        case ["when", "you", "reach", "the", place, ",", verb, "the", thing, "."] if (
            place in PLACES and (verb, thing) in DEEDS
        ):
            return Meaning("instruction", PLACES.index(place), DEEDS.index((verb, thing)), to)
        case ["forget", "the", thing, "."] if thing in things:
            return Meaning("withdrawal", None, things.index(thing), to)
        case ["you", "reach", "the", place, "."] if place in PLACES and to is None:
            return Meaning("arrival", PLACES.index(place))
    if to is None and sentence in _all_chatter():
        return Meaning("chatter")
    raise ValueError(f"{sentence!r} is not a sentence of this language")


@cache
def _all_chatter() -> frozenset[str]:
    """Return all meaningless sentences."""
    return frozenset(chatter(len(PLACES), len(DEEDS)))


def chatter(places: int, deeds: int) -> list[str]:
    """Return all meaningless sentences about the first `places` and `deeds`."""
    things = [thing for _, thing in DEEDS[:deeds]]
    return [
        *(
            f"the {thing} of the {place} is {look} ."
            for thing, place, look in product(things, PLACES[:places], LOOKS)
        ),
        *(
            f"{name} saw a {animal} near the {place} ."
            for name, animal, place in product(NAMES, ANIMALS, PLACES[:places])
        ),
        *(f"{name} talks about the {thing} ." for name, thing in product(NAMES, things)),
        *(f"it is a {sky} day ." for sky in SKIES),
    ]


class Language:
    """The sentences about some places and deeds, numbered from 0, and their tokens.

    Sentences of one kind have consecutive numbers, so that the number of one is a simple sum.

    Args:
        places: How many of `PLACES` to use.
        deeds: How many of `DEEDS` to use.

    Attributes:
        texts: The sentences `[S]`, an array of strings.
        tokens: Tokens of the sentences, uint8 `[S, W]`, padded with 0.
        vocabulary: The words by token; the first is `PAD`.
        decoys: Numbers of sentences to others, to draw decoys from; three quarters of the entries
            are instructions.
    """

    def __init__(self, places: int, deeds: int) -> None:
        """Number the sentences and the words."""
        self.places, self.deeds = places, deeds
        who = (None, *range(len(NAMES)))
        instructions = [
            Meaning("instruction", place, deed, to)
            for to, place, deed in product(who, range(places), range(deeds))
        ]
        withdrawals = [
            Meaning("withdrawal", None, deed, to) for to, deed in product(who, range(deeds))
        ]
        arrivals = [Meaning("arrival", place) for place in range(places)]
        self.first_withdrawal = len(instructions)
        self.first_arrival = self.first_withdrawal + len(withdrawals)
        self.first_chatter = self.first_arrival + len(arrivals)
        to, place, deed = np.indices((len(NAMES), places, deeds)).reshape(3, -1)
        decoys = self.instruction(place, deed, to + 1), self.withdrawal(deed, to + 1)
        self.decoys = np.concatenate([np.repeat(decoys[0], 3), np.sort(decoys[1])])
        meanings = [*instructions, *withdrawals, *arrivals]
        sentences = [*map(write, meanings), *chatter(places, deeds)]
        self.texts = np.array(sentences)
        words = [sentence.split() for sentence in sentences]
        self.vocabulary = (PAD, *sorted({word for sentence in words for word in sentence}))
        number = {word: n for n, word in enumerate(self.vocabulary)}
        longest = max(map(len, words))
        rows = [[number[w] for w in s] + [0] * (longest - len(s)) for s in words]
        self.tokens: npt.NDArray[np.uint8] = np.array(rows, np.uint8)

    @property
    def size(self) -> int:
        """Number of sentences, S."""
        return len(self.texts)

    def instruction(
        self,
        place: npt.NDArray[np.int64],
        deed: npt.NDArray[np.int64],
        to: npt.NDArray[np.int64] | int = 0,
    ) -> npt.NDArray[np.int64]:
        """Return the numbers of instructions; `to` is 0 for the agent, n + 1 for name n."""
        return (to * self.places + place) * self.deeds + deed

    def deed(self, instruction: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """Return the deeds that instructions ask for."""
        return instruction % self.deeds

    def withdrawal(
        self, deed: npt.NDArray[np.int64], to: npt.NDArray[np.int64] | int = 0
    ) -> npt.NDArray[np.int64]:
        """Return the numbers of withdrawals; `to` as for instructions."""
        return self.first_withdrawal + to * self.deeds + deed

    def arrival(self, place: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of arrivals."""
        return self.first_arrival + place

    def chatter(self, bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Turn the upper 24 of random bits into numbers of chatter."""
        count = np.uint64(self.size - self.first_chatter)
        return self.first_chatter + ((bits >> np.uint64(40)) % count).astype(np.int64)

    def place_reached(self, sentence: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the places of arrivals; -1 for other sentences."""
        place = sentence - self.first_arrival
        return np.where((place >= 0) & (place < self.places), place, -1)
