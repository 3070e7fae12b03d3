"""The Instruction task's rules, as array code over N worlds and as a single environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import MultiDiscrete, Space

from envs.array_env import ArrayVectorEnv, SingleView
from envs.array_env.arrays import ALL, BoolArray, FloatArray, Frame, IntArray, Rows, pick
from envs.draws import UIntArray, chance
from envs.instruction.grammar import DEEDS, Language
from envs.instruction.options import InstructionOptions
from envs.instruction.oracle import InstructionOracle
from envs.instruction.script import ScriptSampler, speech
from envs.instruction.state import NOWHERE, InstructionState
from envs.instruction.text_frame import draw_text

FRAME_LINES = 12


class InstructionVectorEnv(ArrayVectorEnv):
    """N text worlds in which a few of many sentences have to be remembered.

    ## Description
    Every step brings one sentence. In the first part of an episode the agent hears instructions,
    such as "when you reach the tower , ring the bell .", among chatter, instructions to somebody
    else ("anna , when you reach ..."), and sentences that withdraw an instruction ("forget the bell
    ."). Then it walks through places, amid more chatter. On reaching a place it must do what it was
    told to do there, and nothing anywhere else.

    ## Actions
    `Discrete(1 + deeds)`: 0 walk on; n do deed n, in the order of `envs.instruction.grammar.DEEDS`.

    ## Observations
    `MultiDiscrete`: the tokens of the sentence, padded with 0 (see
    `envs.instruction.grammar.Language`, an instance of which is the attribute `language`).

    ## Rewards
    1 for each instruction carried out: the right deed on reaching the right place and, with
    `ordered`, after all instructions heard before it. A perfect episode returns `instructions`.

    ## Episode end
    Terminated when the last instruction is carried out, after any wrong deed, and at the end of the
    walk, when no place is left to reach. Never truncated.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `rl_expire.relevant` (bool: the sentence is an instruction to the agent that stands),
    `rl_expire.withdrawn` (bool: it is one that will be withdrawn), `rl_expire.decision` (bool: an
    instruction is to be carried out now), `distance` (int: the longest possible one between hearing
    an instruction and reaching its place), `carried` (int: instructions carried out), `share`
    (float: their share of all that stand), `success` (bool: all carried out, on the last step),
    `rl_expire.text` (str: the sentence).

    ## Options
    See `InstructionOptions`. Registered as `RLExpire/Instruction-v0`.
    """

    capped = ("instructions", "withdrawn", "decoys")
    changeable = (*capped, "min_distance", "max_distance")
    limit_terminates = True
    options_type = InstructionOptions
    options: InstructionOptions

    def _prepare(self) -> tuple[Space[Any], int]:
        """Set up language and state; return the observation space and the number of actions."""
        places, deeds = self.options.places, self.options.deeds
        self.language = Language(places, deeds)
        # In the arrays of events, those of the walk come after those of the longest briefing.
        self._first_visit = self.options.said
        events = self._first_visit + self.options.visits
        self._state = InstructionState.zeros(
            self.num_envs, events, self.options.instructions, places
        )
        self._sampler = ScriptSampler(self.options, self.language)
        self._tokens = self.language.tokens.astype(np.int64)
        # The instruction to carry out now; -1 if there is none.
        self._due = np.full(self.num_envs, -1, np.int64)
        # Whether the walk is still to be drawn, which is done when it begins, if it does.
        self._walk_pending = np.zeros(self.num_envs, np.bool_)
        words = np.full(self.language.tokens.shape[1], len(self.language.vocabulary))
        return MultiDiscrete(words), 1 + deeds

    def change(self, **changes: Any) -> None:
        """Change options; draw the walks of current episodes with the old ones first."""
        self._draw_walks(self._walk_pending)
        super().change(**changes)
        self._sampler = ScriptSampler(self.options, self.language)

    def oracle(self) -> InstructionOracle:
        """Return a scripted policy that solves these N worlds from observations alone."""
        return InstructionOracle(self.num_envs, self.language, ordered=self.options.ordered)

    def expected_return(self) -> float:
        """Return the mean return of perfect memory: every instruction carried out."""
        return float(self.options.instructions)

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state of all episodes; draw the walks that have not begun first."""
        self._draw_walks(self._walk_pending)
        return super().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state, and find the instructions that are due."""
        super().load_state_dict(state)
        self._walk_pending[:] = False
        self._due[:] = self._find_due()

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Draw the briefing, and read its first sentence."""
        state, options = self._state, self.options
        briefing = self._sampler.briefing(keys)
        state.key[rows], state.time[rows] = keys, 0
        state.first_arrival[rows] = options.first_arrival
        state.length[rows] = options.max_distance + 1
        state.given[rows], state.asked[rows] = options.given, options.instructions
        self._due[rows], state.carried[rows], state.success[rows] = -1, 0, False
        state.fillers[rows] = briefing.places
        for field, values, unused in (
            (state.place, briefing.places[:, : options.instructions], NOWHERE),
            (state.at, briefing.times, -1),
        ):
            padded = np.full((len(rows), field.shape[1]), unused, field.dtype)
            padded[:, : values.shape[1]] = values
            field[rows] = padded
        state.what[rows, : options.said] = briefing.sentences
        self._walk_pending[rows] = True
        state.sentence[rows], state.event[rows] = briefing.chatter, -1
        # Episodes in which an event comes first; there is at most one of them at a time.
        episode, event = np.divmod(np.flatnonzero(briefing.times == 0), options.said)
        state.sentence[rows[episode]] = briefing.sentences[episode, event]
        state.event[rows[episode]] = event
        return state.length[rows].astype(np.int64)

    def _draw_walks(self, mask: BoolArray) -> None:
        """Draw when which places are reached, for the episodes in `mask` `[N]`."""
        rows = np.flatnonzero(mask)
        if not rows.size:
            return
        state = self._state
        times, arrivals = self._sampler.walk(state.key[rows], state.fillers[rows].astype(np.int64))
        columns = slice(self._first_visit, self._first_visit + self.options.visits)
        state.at[rows, columns], state.what[rows, columns] = times, arrivals
        self._walk_pending[rows] = False

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Carry out the deeds, and read the next sentences."""
        state = self._state
        rows = np.arange(self.num_envs)
        deed = actions > 0
        right = deed & (self._due >= 0)
        right &= self.language.deed(state.what[rows, self._due]) == actions - 1
        state.place[rows[right], self._due[right]] = NOWHERE
        state.carried += right
        state.success[:] = right & (state.carried == state.asked)
        state.time += 1
        self._draw_walks(self._walk_pending & (state.time == state.first_arrival))
        state.sentence[:], state.event[:] = self._read(ALL, state.time)
        self._due[:] = self._find_due()
        return right.astype(np.float64), (deed & ~right) | state.success

    def _find_due(self) -> IntArray:
        """Return the instruction to carry out now `[N]`; -1 if there is none."""
        reached = self.language.place_reached(self._state.sentence)
        due = np.full(self.num_envs, -1)
        rows = np.flatnonzero(reached >= 0)
        if rows.size:
            place = self._state.place[rows]
            match = place == reached[rows, None]
            if self.options.ordered:
                match &= np.cumsum(place != NOWHERE, axis=1) == 1
            first = match.argmax(axis=1)
            due[rows] = np.where(match[np.arange(len(rows)), first], first, -1)
        return due

    def _read(self, rows: Rows, time: npt.NDArray[np.int32]) -> tuple[IntArray, IntArray]:
        """Look up, or draw, the sentences of environments `rows` `[M]` at `time` `[M]`.

        Returns:
            The sentences `[M]`, and the event of each, or -1.
        """
        state, language = self._state, self.language
        each = np.arange(len(time))
        at, given, fillers = (pick(x, rows) for x in (state.at, state.given, state.fillers))
        # Events have different times, so at most one is now, and argmax finds it.
        event = (at == time[:, None]).argmax(axis=1)
        is_event = at[each, event] == time
        bits = speech(state.key[rows], time)
        arrives = (time >= state.first_arrival[rows]) & ~chance(bits, self.options.chatter)
        free = (fillers.shape[1] - given).astype(np.uint64)
        which = given + ((bits & np.uint64(1023)) % free).astype(np.int64)
        arrival = language.arrival(fillers[each, which].astype(np.int64))
        filler = np.where(arrives, arrival, language.chatter(bits))
        sentence = np.where(is_event, pick(state.what, rows)[each, event], filler)
        return sentence, np.where(is_event, event, -1)

    def _observe(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return the tokens of the current sentences."""
        return self._tokens.take(self._state.sentence[rows], axis=0)

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Return the entries listed under "Info" in the class docstring."""
        state = self._state
        event, asked, given = state.event[rows], state.asked[rows], state.given[rows]
        carried = state.carried[rows].copy()
        stands = event < asked
        return {
            "rl_expire.relevant": stands & (event >= 0),
            "rl_expire.withdrawn": ~stands & (event < given),
            "rl_expire.decision": self._due[rows] >= 0,
            "distance": state.length[rows].astype(np.int64) - 1,
            "carried": carried,
            "share": carried / np.maximum(1, asked),
            "success": state.success[rows].copy(),
            "rl_expire.text": self.language.texts.take(state.sentence[rows]),
        }

    def _frame(self, row: int) -> Frame:
        """Render the latest sentences as text."""
        now = int(self._state.time[row])
        lines = []
        for time in range(max(0, now - FRAME_LINES + 1), now + 1):
            (sentence,), _ = self._read(np.array([row]), np.array([time], np.int32))
            lines.append(f"{time:4d}  {self.language.texts[sentence]}")
        return draw_text(lines, FRAME_LINES)


class InstructionEnv(SingleView):
    """One text world, a view of `InstructionVectorEnv`, which describes the task.

    Render mode "ansi" returns the sentence as a string.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own declaration)
        "render_modes": ["rgb_array", "human", "ansi"],
        "render_fps": 2,
    }
    vector_class = InstructionVectorEnv
    title = "RLExpire/Instruction-v0"

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the actions, for pictures."""
        return ("walk on", *(verb for verb, _ in DEEDS[: self.core.options.deeds]))

    def render(self) -> Frame | str | None:  # type: ignore[override]
        """Render the environment; in mode "ansi", return the sentence."""
        if self.render_mode == "ansi":
            return self._scalar_info()["rl_expire.text"]
        return super().render()
