"""The script of an Instruction episode: which sentence is heard when, and which place is reached.

An episode is a briefing, in which everything is said, followed by a walk through places.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from envs.array_env.arrays import IntArray
from envs.draws import UIntArray, below, chance, draw, permutations
from envs.instruction.grammar import Language
from envs.instruction.options import InstructionOptions

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
"""First draw of an episode's key for each purpose (see `envs.draws.draw`)."""
_SPEECH_STRIDE = 7919


class Briefing(NamedTuple):
    """The first part of M episodes, int64.

    Attributes:
        places: `[M, places]`, all places in random order; the first `given` have an instruction.
        times: `[M, said]`, when each sentence that asks for something is heard.
        sentences: `[M, said]`, these sentences: the instructions, first those that stand, then the
            withdrawals, then the decoys.
        chatter: `[M]`, the first sentence of episodes that do not begin with one of these.
    """

    places: IntArray
    times: IntArray
    sentences: IntArray
    chatter: IntArray


class ScriptSampler:
    """Sampler of the scripts of episodes, which depend only on the options and an episode's key.

    Args:
        options: Amounts and distances.
        language: The sentences.
    """

    def __init__(self, options: InstructionOptions, language: Language) -> None:
        """Prepare the indices of the draws."""
        self._options, self._language = options, language
        self._briefing_draws = _NamedDraws(
            places=language.places,
            deeds=language.deeds,
            heard=options.said,
            order=options.said,
            decoy=options.decoys,
            speech=1,
        )
        visits = options.visits
        self._walk_draws = _NamedDraws(
            reached=visits, walk=visits, early=visits if options.ordered else 0
        )
        self._hearing = _Intervals(options.said, 0, options.heard)
        self._walking = _Intervals(visits, options.first_arrival, options.max_distance + 1)

    def briefing(self, keys: UIntArray) -> Briefing:
        """Draw the first part of the episodes with these keys, uint64 `[M]`."""
        options, language = self._options, self._language
        bits = self._briefing_draws.draw(keys)
        places = permutations(bits["places"])
        deeds = permutations(bits["deeds"])[:, : options.given]
        times = _reorder(self._hearing.draw(bits["heard"]), permutations(bits["order"]))
        # Sort the instructions by time, and let each withdrawal follow what it withdraws.
        times[:, : options.instructions].sort(axis=1)
        first, second = times[:, options.instructions : options.given], times[:, options.given :]
        second = second[:, : options.withdrawn]
        times[:, options.instructions : options.given + options.withdrawn] = np.concatenate(
            [np.minimum(first, second), np.maximum(first, second)], axis=1
        )
        sentences = [
            language.instruction(places[:, : options.given], deeds),
            language.withdrawal(deeds[:, options.instructions :]),
            language.decoys.take(below(bits["decoy"], np.uint64(len(language.decoys)))),
        ]
        chatter = language.chatter(bits["speech"][:, 0])
        return Briefing(places, times, np.concatenate(sentences, axis=1), chatter)

    def walk(self, keys: UIntArray, places: IntArray) -> tuple[IntArray, IntArray]:
        """Draw when each of the places with an instruction is reached.

        Args:
            keys: Keys of the episodes, uint64 `[M]`.
            places: Places of the episodes in the order of `Briefing.places`, `[M, places]`.

        Returns:
            Times, -1 for never, and the sentences that are arrivals, each `[M, visits]`.
        """
        options = self._options
        bits = self._walk_draws.draw(keys)
        times = _reorder(self._walking.draw(bits["reached"]), permutations(bits["walk"]))
        which = np.arange(options.given)
        if options.ordered:
            # Withdrawn ones at any time; 1 before its turn, 0, 2 before its turn, 1, ..., the last.
            turns = np.repeat(np.arange(options.instructions), 2)[1:]
            turns[:-1] = turns[:-1].reshape(-1, 2)[:, ::-1].ravel()
            which = np.concatenate([which[options.instructions :], turns])
            times[:, options.withdrawn :].sort(axis=1)
            early = slice(options.withdrawn, options.visits - 1, 2)
            times[:, early] = np.where(chance(bits["early"][:, early], 0.5), times[:, early], -1)
        return times, self._language.arrival(places[:, which])


def speech(keys: UIntArray, time: npt.NDArray[Any]) -> UIntArray:
    """Draw the random bits `[M]` of the sentences at `time` `[M]` in episodes of `keys` `[M]`."""
    return draw(keys, _FIRST_DRAW["speech"] + _SPEECH_STRIDE * time.astype(np.int64))


class _NamedDraws:
    """Draws for several purposes at once, several times faster than one purpose at a time."""

    def __init__(self, **counts: int) -> None:
        """Prepare the indices of `counts` draws for each purpose."""
        edges = np.cumsum([0, *counts.values()]).tolist()
        self._columns = dict(zip(counts, map(slice, edges[:-1], edges[1:]), strict=True))
        indices = (_FIRST_DRAW[name] + np.arange(count) for name, count in counts.items())
        self._indices = np.concatenate(list(indices))

    def draw(self, keys: UIntArray) -> dict[str, UIntArray]:
        """Draw random bits `[M, count]` for each purpose, with keys uint64 `[M]`."""
        bits = draw(keys[:, None], self._indices)
        return {name: bits[:, columns] for name, columns in self._columns.items()}


class _Intervals:
    """The interval [low, high) divided into `count` equal parts."""

    def __init__(self, count: int, low: int, high: int) -> None:
        """Divide the interval."""
        edges = low + np.arange(count + 1) * (high - low) // max(1, count)
        self._first, self._width = edges[:-1], np.diff(edges).astype(np.uint64)

    def draw(self, bits: UIntArray) -> IntArray:
        """Turn random bits into ascending integers `[M, count]`, one in each part."""
        return self._first + below(bits, self._width)


def _reorder(values: IntArray, order: IntArray) -> IntArray:
    """Permute each row of `values` `[M, K]` by the same row of `order` `[M, K]`."""
    rows = np.arange(len(values))[:, None] * values.shape[1]
    return values.ravel()[order + rows]
