"""The Instruction task: hear what is to be done where, walk on amid chatter, and do it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import MultiDiscrete

from envs.array_env import (
    ArrayVectorEnv,
    BatchState,
    BoolArray,
    FloatArray,
    Frame,
    IntArray,
    Rows,
    SingleView,
)
from envs.draws import UIntArray, chance, draw, integers, permutations
from envs.instruction_grammar import DEEDS, NAMES, PLACES, Language
from envs.instruction_oracle import InstructionOracle
from envs.text_frame import draw_text

# Draws of an episode's key.
_PLACES, _DEEDS, _HEARD, _ORDER, _DECOYS, _SLOTS, _EARLY, _SPEAK, _WALK = range(0, 9000, 1000)
LONGEST = 1_000_000
FRAME_LINES = 12


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


@dataclass
class InstructionState(BatchState):
    """What N episodes hold: arrays `[N, ...]`."""

    key: UIntArray
    """The episode's key."""
    time: npt.NDArray[np.int32]
    """Which sentence is read now, from 0."""
    sentence: IntArray
    """That sentence."""
    length: npt.NDArray[np.int32]
    """Sentences of the episode."""
    first_arrival: npt.NDArray[np.int32]
    """The first sentence that can be an arrival."""
    at: npt.NDArray[np.int32]
    """`[N, E]`, when each of the sentences that matter is read; -1 where there are fewer."""
    what: npt.NDArray[np.int32]
    """`[N, E]`, which sentences those are."""
    role: npt.NDArray[np.int8]
    """`[N, E]`, 0 for an instruction to the agent, 1 for one to be withdrawn, 2 for the rest."""
    place: npt.NDArray[np.int8]
    """`[N, I]`, the place of each instruction that counts, in the order heard; -1: none."""
    deed: npt.NDArray[np.int8]
    """`[N, I]`, what is to be done there."""
    fillers: npt.NDArray[np.int8]
    """`[N, P]`, all places, those without instruction last."""
    given: npt.NDArray[np.int8]
    """How many of `fillers` have one."""
    carried: BoolArray
    """`[N, I]`, which have been carried out."""
    success: BoolArray
    """Whether the last has just been carried out."""

    @classmethod
    def zeros(cls, count: int, events: int, instructions: int, places: int) -> InstructionState:
        """Makes the state of `count` episodes that have not begun."""
        return cls(
            key=np.zeros(count, np.uint64),
            time=np.zeros(count, np.int32),
            sentence=np.zeros(count, np.int64),
            length=np.ones(count, np.int32),
            first_arrival=np.zeros(count, np.int32),
            at=np.full((count, events), -1, np.int32),
            what=np.zeros((count, events), np.int32),
            role=np.full((count, events), 2, np.int8),
            place=np.full((count, instructions), -1, np.int8),
            deed=np.zeros((count, instructions), np.int8),
            fillers=np.zeros((count, places), np.int8),
            given=np.zeros(count, np.int8),
            carried=np.zeros((count, instructions), np.bool_),
            success=np.zeros(count, np.bool_),
        )


class InstructionVectorEnv(ArrayVectorEnv):
    """N text worlds in which a few sentences are to be remembered among many.

    ## Description
    Every step brings one sentence. At first the agent hears instructions, such as "when you reach
    the tower , ring the bell .", among chatter, instructions to somebody else ("anna , when you
    reach ..."), and words that withdraw one ("forget the bell ."). Then it walks through places,
    amid more chatter, and on reaching one it must do what it was told to do there, and nothing
    anywhere else.

    ## Actions
    `Discrete(1 + deeds)`: 0 walk on; n do deed n, in the order of `instruction_grammar.DEEDS`.

    ## Observations
    `MultiDiscrete`: the tokens of the sentence, 0 where it is over (see
    `instruction_grammar.Language`, which is `language` here).

    ## Rewards
    1 for each instruction carried out: the right deed, in answer to reaching the right place, and,
    with `ordered`, not before those heard before it. A perfect episode returns `instructions`.

    ## Episode end
    Terminated when the last instruction is carried out, on any other deed, and on the walk's end,
    which comes when no place is left to reach.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `relevant` (bool: the sentence is an instruction to the agent that stands), `withdrawn` (bool:
    one that will be withdrawn), `decision` (bool: something is to be done now), `distance` (int:
    the longest between hearing and doing in this episode), `carried` (int: instructions carried
    out), `share` (float: of those there are), `success` (bool: all of them, on the last step),
    `text` (the sentence).

    Registered as `RLExpire/Instruction-v0`.
    """

    limit_terminates = True

    def __init__(
        self,
        num_envs: int = 1,
        instructions: int = 3,
        withdrawn: int = 1,
        decoys: int = 2,
        chatter: float = 0.5,
        min_distance: int = 20,
        max_distance: int = 100,
        ordered: bool = False,
        places: int = 8,
        deeds: int = 6,
        render_mode: str | None = None,
    ) -> None:
        """Prepares N text worlds.

        Args:
            num_envs: Number of environments, N.
            instructions: Instructions to carry out.
            withdrawn: Further instructions, each withdrawn after it was given.
            decoys: Instructions and withdrawals addressed to somebody else.
            chatter: Share of sentences that mean nothing, while hearing and while walking.
            min_distance: Fewest steps from hearing an instruction to reaching its place.
            max_distance: Most steps.
            ordered: Whether instructions must be carried out in the order heard; places are then
                also reached before their turn.
            places: How many places there are.
            deeds: How many deeds there are.
            render_mode: None or "rgb_array".

        Raises:
            ValueError: If an option is impossible; the message names it and the remedy.
        """
        if not 2 <= places <= len(PLACES):
            raise ValueError(f"places={places} is impossible: give 2 to {len(PLACES)}")
        if not 1 <= deeds <= len(DEEDS):
            raise ValueError(f"deeds={deeds} is impossible: give 1 to {len(DEEDS)}")
        self._size = InstructionSize(
            instructions, withdrawn, decoys, chatter, min_distance, max_distance, ordered
        )
        self._size.check(places, deeds)
        self.language = Language(places, deeds)
        words = np.full(self.language.tokens.shape[1], len(self.language.vocabulary))
        super().__init__(num_envs, MultiDiscrete(words), 1 + deeds, render_mode)
        self._most = self._size
        events = self._size.said + self._size.visits
        self._state = InstructionState.zeros(num_envs, events, instructions, places)

    def change(self, **options: int) -> None:
        """Changes options from each environment's next episode on.

        Args:
            options: Any of `instructions`, `withdrawn` and `decoys`, none above what it was at
                first, `min_distance` and `max_distance`.

        Raises:
            ValueError: If one is impossible beside the others; all stay as they were.
            TypeError: If another option is given.
        """
        known = ("instructions", "withdrawn", "decoys", "min_distance", "max_distance")
        for name, value in options.items():
            if name not in known:
                raise TypeError(f"{name} cannot be changed: only {', '.join(known)} can")
            if name in known[:3] and value > getattr(self._most, name):
                most = getattr(self._most, name)
                raise ValueError(f"{name}={value} is impossible: give at most {most}, as at first")
        new = replace(self._size, **options)
        new.check(self.language.places, self.language.deeds)
        self._size = new

    @property
    def size(self) -> InstructionSize:
        """How much there is to remember in the episodes to come."""
        return self._size

    def oracle(self) -> InstructionOracle:
        """Makes the scripted policy that reads these N worlds and forgets nothing."""
        return InstructionOracle(self.num_envs, self.language, ordered=self._size.ordered)

    def expected_return(self) -> float:
        """Computes the mean return of perfect memory: every instruction carried out."""
        return float(self._size.instructions)

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        state, size = self._state, self._size
        places = permutations(keys, _PLACES, self.language.places)
        deeds = permutations(keys, _DEEDS, self.language.deeds)[:, : size.given]
        state.key[rows], state.time[rows] = keys, 0
        state.first_arrival[rows] = size.first_arrival
        state.length[rows] = size.max_distance + 1
        state.fillers[rows], state.given[rows] = places, size.given
        state.place[rows], state.carried[rows], state.success[rows] = -1, False, False
        state.place[rows, : size.instructions] = places[:, : size.instructions]
        state.deed[rows, : size.instructions] = deeds[:, : size.instructions]
        state.at[rows], state.role[rows] = -1, 2
        said, visits = slice(0, size.said), slice(size.said, size.said + size.visits)
        for where, (at, what) in (
            (said, self._say(keys, places[:, : size.given], deeds)),
            (visits, self._visit(keys, places[:, : size.given])),
        ):
            state.at[rows, where], state.what[rows, where] = at, what
        state.role[rows, : size.instructions] = 0
        state.role[rows, size.instructions : size.given] = 1
        begun = state.select(rows)
        state.sentence[rows] = self._sentence(begun, begun.time)
        return state.length[rows].astype(np.int64)

    def _say(self, keys: UIntArray, places: IntArray, deeds: IntArray) -> tuple[IntArray, IntArray]:
        """Draws when all is said `[M, said]`, and what: instructions, withdrawals, decoys."""
        size, language = self._size, self.language
        times = _spread(keys, _HEARD, size.said, 0, size.heard)
        at = np.take_along_axis(times, permutations(keys, _ORDER, size.said), axis=1)
        # In the order heard, and a withdrawal after what it withdraws.
        at[:, : size.instructions].sort(axis=1)
        first, second = at[:, size.instructions : size.given], at[:, size.given :]
        second = second[:, : size.withdrawn]
        at[:, size.instructions : size.given + size.withdrawn] = np.concatenate(
            [np.minimum(first, second), np.maximum(first, second)], axis=1
        )
        nobody = np.zeros_like(places)
        decoy = np.arange(size.decoys)
        place = integers(keys[:, None], _DECOYS + decoy, 0, language.places - 1)
        deed = integers(keys[:, None], _DECOYS + 100 + decoy, 0, language.deeds - 1)
        to = integers(keys[:, None], _DECOYS + 200 + decoy, 1, len(NAMES))
        undoes = chance(draw(keys[:, None], _DECOYS + 300 + decoy), 0.25)
        what = [
            language.instruction(places, deeds, nobody),
            language.withdrawal(deeds[:, size.instructions :], nobody[:, size.instructions :]),
            np.where(undoes, language.withdrawal(deed, to), language.instruction(place, deed, to)),
        ]
        return at, np.concatenate(what, axis=1)

    def _visit(self, keys: UIntArray, places: IntArray) -> tuple[IntArray, IntArray]:
        """Draws when the places of instructions are reached `[M, visits]`, and which."""
        size = self._size
        at = _spread(keys, _SLOTS, size.visits, size.first_arrival, size.max_distance + 1)
        at = np.take_along_axis(at, permutations(keys, _WALK, size.visits), axis=1)
        at[:, size.withdrawn :].sort(axis=1)
        if size.ordered:
            # 1 before its turn, 0, 2 before its turn, 1, and so on, and the last.
            turns = np.repeat(np.arange(size.instructions), 2)[1:]
            turns[:-1] = turns[:-1].reshape(-1, 2)[:, ::-1].ravel()
            early = np.arange(size.withdrawn, size.visits - 1, 2)
            comes = chance(draw(keys[:, None], _EARLY + early), 0.5)
            at[:, early] = np.where(comes, at[:, early], -1)
            which = np.broadcast_to(turns, (len(keys), len(turns)))
        else:
            which = permutations(keys, _EARLY, size.instructions)
        kept = np.take_along_axis(places, which, axis=1)
        place = np.concatenate([places[:, size.instructions :], kept], axis=1)
        return at, self.language.arrival(place)

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        state = self._state
        wanted = self._wanted(state)
        deed = actions > 0
        rows = np.arange(self.num_envs)
        right = deed & (wanted >= 0)
        right &= state.deed[rows, wanted] == actions - 1
        state.carried[rows[right], wanted[right]] = True
        left = (state.place >= 0) & ~state.carried
        state.success[:] = right & ~left.any(axis=1)
        state.time += 1
        state.sentence[:] = self._sentence(state, state.time)
        return right.astype(np.float64), (deed & ~right) | state.success

    def _wanted(self, state: InstructionState) -> IntArray:
        """Which instruction is to be carried out now `[M]`; -1: none."""
        place = self.language.place_reached(state.sentence)
        open_ = (state.place >= 0) & ~state.carried
        match = open_ & (state.place == place[:, None])
        if self._size.ordered:
            match &= np.cumsum(open_, axis=1) == 1
        return np.where(match.any(axis=1), match.argmax(axis=1), -1)

    def _sentence(self, state: InstructionState, time: npt.NDArray[np.int32]) -> IntArray:
        """Looks up, or draws, the sentences `[M]` that are read at `time` `[M]`."""
        bits = draw(state.key, _SPEAK + 7919 * time.astype(np.int64))
        spoken = (bits >> np.uint64(40)) % np.uint64(
            self.language.size - self.language.first_chatter
        )
        sentence = self.language.first_chatter + spoken.astype(np.int64)
        arrives = (time >= state.first_arrival) & ~chance(bits, self._size.chatter)
        fillers = state.fillers.shape[1] - state.given
        which = state.given + ((bits & np.uint64(1023)) % fillers.astype(np.uint64)).astype(
            np.int64
        )
        place = np.take_along_axis(state.fillers, which[:, None], axis=1)[:, 0]
        sentence = np.where(arrives, self.language.arrival(place.astype(np.int64)), sentence)
        # No two are read at once, so the sum is the one that is, and 0 where there is none.
        told = np.einsum("ne,ne->n", state.what + 1, state.at == time[:, None], dtype=np.int64)
        return np.where(told > 0, told - 1, sentence)

    def _observe(self, rows: Rows) -> npt.NDArray[np.int64]:
        return self.language.tokens[self._state.sentence[rows]].astype(np.int64)

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        state = self._state.select(rows)
        now = state.at == state.time[:, None]
        role = np.einsum("ne,ne->n", 2 - state.role, now, dtype=np.int64)
        carried = state.carried.sum(axis=1)
        return {
            "relevant": role == 2,
            "withdrawn": role == 1,
            "decision": self._wanted(state) >= 0,
            "distance": (state.length - 1).astype(np.int64),
            "carried": carried,
            "share": carried / np.maximum(1, (state.place >= 0).sum(axis=1)),
            "success": state.success.copy(),
            "text": self.language.texts[state.sentence],
        }

    def _frame(self, row: int) -> Frame:
        state = self._state.select(np.array([row]))
        now = int(state.time[0])
        lines = []
        for time in range(max(0, now - FRAME_LINES + 1), now + 1):
            sentence = self._sentence(state, np.array([time], np.int32))[0]
            lines.append(f"{time:4d}  {self.language.texts[sentence]}")
        return draw_text(lines, FRAME_LINES)


def _spread(keys: UIntArray, index: int, count: int, low: int, high: int) -> IntArray:
    """Draws `count` times of [low, high), in order, one in each of as many equal parts."""
    edges = low + np.arange(count + 1) * (high - low) // max(1, count)
    bits = draw(keys[:, None], index + np.arange(count)) >> np.uint64(32)
    width = (edges[1:] - edges[:-1]).astype(np.uint64)
    return edges[:-1] + (bits * width >> np.uint64(32)).astype(np.int64)


class InstructionEnv(SingleView):
    """One text world; see `InstructionVectorEnv`, of which this is a view, for the task."""

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own declaration)
        "render_modes": ["rgb_array", "human", "ansi"],
        "render_fps": 2,
    }
    title = "RLExpire/Instruction-v0"

    def __init__(
        self,
        instructions: int = 3,
        withdrawn: int = 1,
        decoys: int = 2,
        chatter: float = 0.5,
        min_distance: int = 20,
        max_distance: int = 100,
        ordered: bool = False,
        places: int = 8,
        deeds: int = 6,
        render_mode: str | None = None,
    ) -> None:
        """Prepares one text world.

        Args:
            instructions: Instructions to carry out.
            withdrawn: Further instructions, each withdrawn after it was given.
            decoys: Instructions and withdrawals addressed to somebody else.
            chatter: Share of sentences that mean nothing, while hearing and while walking.
            min_distance: Fewest steps from hearing an instruction to reaching its place.
            max_distance: Most steps.
            ordered: Whether instructions must be carried out in the order heard.
            places: How many places there are.
            deeds: How many deeds there are.
            render_mode: None, "rgb_array", "human", or "ansi" (the sentence, as a string).

        Raises:
            ValueError: If an option is impossible; the message names it and the remedy.
        """
        core = InstructionVectorEnv(
            num_envs=1,
            instructions=instructions,
            withdrawn=withdrawn,
            decoys=decoys,
            chatter=chatter,
            min_distance=min_distance,
            max_distance=max_distance,
            ordered=ordered,
            places=places,
            deeds=deeds,
        )
        super().__init__(core, render_mode)
        self.action_names = ("walk on", *(verb for verb, _ in DEEDS[:deeds]))

    def render(self) -> Frame | str | None:  # type: ignore[override]
        """Draws the environment; in mode "ansi", returns the sentence."""
        return self._scalars()["text"] if self.render_mode == "ansi" else super().render()
