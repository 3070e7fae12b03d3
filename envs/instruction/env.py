"""The Instruction task: hear what is to be done where, walk on amid chatter, and do it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import MultiDiscrete

from envs.array_env.batch import (
    ALL,
    ArrayVectorEnv,
    BatchState,
    BoolArray,
    FloatArray,
    Frame,
    IntArray,
    Rows,
    SingleView,
    pick,
)
from envs.draws import UIntArray, chance
from envs.instruction.grammar import DEEDS, PLACES, Language
from envs.instruction.oracle import InstructionOracle
from envs.instruction.script import InstructionSize, Scriptwriter, speech
from envs.instruction.text_frame import draw_text

NOWHERE = -2
"""Where a place would stand; no sentence reaches it."""
FRAME_LINES = 12


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
    """`[N, E]`, which sentences those are: first the instructions that stand, then those that will
    be withdrawn, then the rest."""
    event: npt.NDArray[np.int32]
    """Which of those is read now; -1: none."""
    place: npt.NDArray[np.int8]
    """`[N, I]`, the place of each instruction that stands, in the order heard; `NOWHERE` where
    there are fewer, and once it is carried out."""
    fillers: npt.NDArray[np.int8]
    """`[N, P]`, all places, those without instruction last."""
    given: npt.NDArray[np.int8]
    """How many of `fillers` have one."""
    asked: npt.NDArray[np.int8]
    """How many of those instructions stand."""
    carried: npt.NDArray[np.int64]
    """How many have been carried out."""
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
            event=np.full(count, -1, np.int32),
            place=np.full((count, instructions), NOWHERE, np.int8),
            fillers=np.zeros((count, places), np.int8),
            given=np.zeros(count, np.int8),
            asked=np.ones(count, np.int8),
            carried=np.zeros(count, np.int64),
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
        self._scriptwriter = Scriptwriter(self._size, self.language)
        self._tokens = self.language.tokens.astype(np.int64)
        # Which instruction is to be carried out now; -1: none.
        self._wanted = np.full(num_envs, -1, np.int64)
        # Whose walk is not written into `at` and `what` yet: that is done as it begins, if it does.
        self._to_walk = np.zeros(num_envs, np.bool_)

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
        self._write_walks(self._to_walk)
        self._size, self._scriptwriter = new, Scriptwriter(new, self.language)

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

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """As `ArrayVectorEnv.state_dict`; a walk is in it, whether it has begun or not."""
        self._write_walks(self._to_walk)
        return super().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `ArrayVectorEnv.load_state_dict`."""
        super().load_state_dict(state)
        self._to_walk[:] = False
        self._wanted[:] = self._due()

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        state, size = self._state, self._size
        errand = self._scriptwriter.errand(keys)
        state.key[rows], state.time[rows] = keys, 0
        state.first_arrival[rows] = size.first_arrival
        state.length[rows] = size.max_distance + 1
        state.given[rows], state.asked[rows] = size.given, size.instructions
        self._wanted[rows], state.carried[rows], state.success[rows] = -1, 0, False
        state.fillers[rows] = errand.places
        for field, values, none in (
            (state.place, errand.places[:, : size.instructions], NOWHERE),
            (state.at, errand.at, -1),
        ):
            wide = np.full((len(rows), field.shape[1]), none, field.dtype)
            wide[:, : values.shape[1]] = values
            field[rows] = wide
        state.what[rows, : size.said] = errand.what
        self._to_walk[rows] = True
        state.sentence[rows], state.event[rows] = errand.chatter, -1
        # Usually something else than chatter comes first, and only once.
        episode, event = np.divmod(np.flatnonzero(errand.at == 0), size.said)
        state.sentence[rows[episode]] = errand.what[episode, event]
        state.event[rows[episode]] = event
        return state.length[rows].astype(np.int64)

    def _write_walks(self, mask: BoolArray) -> None:
        """Writes when which places are reached, for the episodes in `mask` `[N]`."""
        rows = np.flatnonzero(mask)
        if not rows.size:
            return
        state, size = self._state, self._size
        at, what = self._scriptwriter.walk(state.key[rows], state.fillers[rows].astype(np.int64))
        columns = slice(self._most.said, self._most.said + size.visits)
        state.at[rows, columns], state.what[rows, columns] = at, what
        self._to_walk[rows] = False

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        state = self._state
        rows = np.arange(self.num_envs)
        deed = actions > 0
        right = deed & (self._wanted >= 0)
        right &= self.language.deed(state.what[rows, self._wanted]) == actions - 1
        state.place[rows[right], self._wanted[right]] = NOWHERE
        state.carried += right
        state.success[:] = right & (state.carried == state.asked)
        state.time += 1
        self._write_walks(self._to_walk & (state.time == state.first_arrival))
        state.sentence[:], state.event[:] = self._read(ALL, state.time)
        self._wanted[:] = self._due()
        return right.astype(np.float64), (deed & ~right) | state.success

    def _due(self) -> IntArray:
        """Which instruction is to be carried out now `[N]`; -1: none."""
        reached = self.language.place_reached(self._state.sentence)
        due = np.full(self.num_envs, -1)
        rows = np.flatnonzero(reached >= 0)
        if rows.size:
            place = self._state.place[rows]
            match = place == reached[rows, None]
            if self._size.ordered:
                match &= np.cumsum(place != NOWHERE, axis=1) == 1
            first = match.argmax(axis=1)
            due[rows] = np.where(match[np.arange(len(rows)), first], first, -1)
        return due

    def _read(self, rows: Rows, time: npt.NDArray[np.int32]) -> tuple[IntArray, IntArray]:
        """Looks up, or draws, the sentences `[M]` that environments `rows` read at `time` `[M]`.

        Returns:
            The sentences, and where in `state.what` each is, or -1.
        """
        state, language = self._state, self.language
        each = np.arange(len(time))
        at, given, fillers = (pick(x, rows) for x in (state.at, state.given, state.fillers))
        # No two are read at once, so the first is the one that is, if any is.
        event = (at == time[:, None]).argmax(axis=1)
        told = at[each, event] == time
        bits = speech(state.key[rows], time)
        arrives = (time >= state.first_arrival[rows]) & ~chance(bits, self._size.chatter)
        free = (fillers.shape[1] - given).astype(np.uint64)
        which = given + ((bits & np.uint64(1023)) % free).astype(np.int64)
        arrival = language.arrival(fillers[each, which].astype(np.int64))
        otherwise = np.where(arrives, arrival, language.chatter(bits))
        sentence = np.where(told, pick(state.what, rows)[each, event], otherwise)
        return sentence, np.where(told, event, -1)

    def _observe(self, rows: Rows) -> npt.NDArray[np.int64]:
        return self._tokens.take(self._state.sentence[rows], axis=0)

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        state = self._state
        event, asked, given = state.event[rows], state.asked[rows], state.given[rows]
        carried = state.carried[rows].copy()
        stands = event < asked
        return {
            "relevant": stands & (event >= 0),
            "withdrawn": ~stands & (event < given),
            "decision": self._wanted[rows] >= 0,
            "distance": state.length[rows].astype(np.int64) - 1,
            "carried": carried,
            "share": carried / np.maximum(1, asked),
            "success": state.success[rows].copy(),
            "text": self.language.texts.take(state.sentence[rows]),
        }

    def _frame(self, row: int) -> Frame:
        now = int(self._state.time[row])
        lines = []
        for time in range(max(0, now - FRAME_LINES + 1), now + 1):
            (sentence,), _ = self._read(np.array([row]), np.array([time], np.int32))
            lines.append(f"{time:4d}  {self.language.texts[sentence]}")
        return draw_text(lines, FRAME_LINES)


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
