"""The Collision task's rules, as array code over N arenas and as a single environment."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import Space
from gymnasium.spaces import Box

from envs.array_env import ArrayVectorEnv, SingleView
from envs.array_env.arrays import ALL, BoolArray, FloatArray, Frame, IntArray, Rows, pick
from envs.collision.frame import draw_frame
from envs.collision.motion import UNIT, move, velocities
from envs.collision.options import CollisionOptions
from envs.collision.oracle import CollisionOracle
from envs.collision.state import CollisionState
from envs.draws import UIntArray, below, chance, draw, integers

SUCCESS_SHARE = 0.9
"""Share of questions answered rightly from which on an episode is a success."""
# First draws of an episode's key: for each frame, for changes of colour, and for the start.
_FRAMES, _COLOURS, _START = 0, 1 << 40, 1 << 50


class CollisionVectorEnv(ArrayVectorEnv):
    """N arenas in which particles collide, and every frame asks where two colours did so last.

    ## Description
    Particles move in straight lines through a square arena, and change their colours now and then.
    Two of them on one cell in the same frame are a collision. Every frame asks for an ordered pair
    of colours: in which quadrant of the arena did a particle of the first colour and a later one of
    the second colour collide last? Of two particles, one is always the first. The task follows the
    object collision task of the Expire-Span paper (Sukhbaatar et al. 2021, section 5).

    ## World
    A particle moves by the length of a cell a frame, in one of 16 directions. At the border it
    takes a random one that leads back into the arena. In each frame it changes to another colour
    with probability `change`. The first two particles begin on the same cell, so that the first
    frame is a collision, and every question has an answer. The share `recent` of the questions
    asks for the pair that collided last; the others ask for one of the pairs that have collided,
    each with the same probability.

    ## Actions
    `Discrete(4)`: the quadrant; 0 north-west, 1 north-east, 2 south-west, 3 south-east.

    ## Observations
    `uint8 [particles + 1, 1, 3]`: column, row and colour of each particle, then the question, the
    two colours and a zero. All are categories, which `rl_expire` reads as those of MiniGrid cells.

    ## Rewards
    1 for each right answer. The current frame counts: perfect memory returns `length`.

    ## Episode end
    Terminated after `length` answers. Never truncated.

    ## Info
    At reset and every step, arrays `[N]` (plain values in the single environment):
    `rl_expire.relevant` (bool: the frame is a collision; a later one of the same pair takes its
    place, which nobody knows yet), `rl_expire.decision` (bool: the question is about an earlier
    frame), `age` (int: frames since the collision that is asked for), `pairs` (int: pairs that have
    collided), `length` (int: frames of the episode), `share` (float: right answers, divided by
    `length`), `success` (bool: nine in ten answers were right, on the last step).

    ## Options
    See `CollisionOptions`. Registered as `RLExpire/Collision-v0`.
    """

    changeable = ("length", "size")
    capped = ("size",)
    limit_terminates = True
    options_type = CollisionOptions
    options: CollisionOptions

    def _prepare(self) -> tuple[Space[Any], int]:
        """Set up the state; return the observation space and the number of actions."""
        options = self.options
        self._grid = options.size
        self._state = CollisionState.zeros(self.num_envs, options.particles, options.colours**2)
        high = np.full((options.particles + 1, 1, 3), options.size - 1, np.uint8)
        high[:, 0, 2] = high[-1, 0, :2] = options.colours - 1
        high[-1, 0, 2] = 1  # always 0, but Gymnasium warns of bounds that are equal
        return Box(np.zeros_like(high), high, dtype=np.uint8), 4

    def oracle(self) -> CollisionOracle:
        """Return a scripted policy that answers every question from observations alone."""
        return CollisionOracle(self.num_envs, self._grid, self.options.colours)

    def expected_return(self) -> float:
        """Return the return of perfect memory: every question answered."""
        return float(self.options.length)

    def _restart(self, rows: IntArray, keys: UIntArray) -> IntArray:
        """Draw places, directions and colours, and the first question."""
        state, options = self._state, self.options
        count = options.particles
        bits = draw(keys[:, None], _START + np.arange(4 * count)).reshape(len(keys), 4, count)
        for axis, place in enumerate((state.x, state.y)):
            at = below(bits[:, axis], np.uint64(options.size * UNIT))
            at[:, 1] = at[:, 0] // UNIT * UNIT + at[:, 1] % UNIT  # on the cell of the first
            place[rows] = at
        state.velocity_x[rows], state.velocity_y[rows] = velocities(bits[:, 2])
        state.colour[rows] = below(bits[:, 3], np.uint64(options.colours))
        state.key[rows], state.time[rows], state.right[rows] = keys, 0, 0
        state.length[rows], state.size[rows] = options.length, options.size
        state.since[rows], state.known[rows] = -1, 0
        self._collide(rows)
        self._ask(rows, self._draw(rows))
        return np.full(len(rows), options.length)

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Judge the answers, move the particles, and ask again."""
        state = self._state
        right = actions == state.quadrant[np.arange(self.num_envs), state.question]
        state.right += right
        state.time += 1
        bits = self._draw(ALL)
        of_particles = bits[:, : self.options.particles]
        velocity = state.velocity_x, state.velocity_y
        move((state.x, state.y), velocity, state.size, of_particles)
        self._recolour(*np.nonzero(chance(of_particles, self.options.change)))
        self._collide(ALL)
        self._ask(ALL, bits)
        return right.astype(np.float64), np.zeros(self.num_envs, np.bool_)

    def _recolour(self, row: IntArray, particle: IntArray) -> None:
        """Give other colours to some particles, `[K]` of them."""
        state, colours = self._state, self.options.colours
        index = _COLOURS + state.time[row].astype(np.int64) * self.options.particles + particle
        other = integers(state.key[row], index, 1, colours - 1)
        state.colour[row, particle] = (state.colour[row, particle] + other) % colours

    def _draw(self, rows: Rows) -> UIntArray:
        """Return random bits of the current frame, one for each particle and two more `[M, P + 2]`.

        The lowest bits of a particle's are its direction where it meets the border, the others tell
        whether its colour changes.
        """
        count = self.options.particles + 2
        state = self._state
        index = _FRAMES + state.time[rows].astype(np.int64)[:, None] * count + np.arange(count)
        return draw(state.key[rows, None], index)

    def _collide(self, rows: Rows) -> None:
        """Note the collisions of the current frame."""
        state = self._state
        x, y = state.cells(rows)
        indices = np.arange(self.num_envs) if isinstance(rows, slice) else rows
        state.collided[rows] = False
        for first, second in combinations(range(self.options.particles), 2):
            met = np.flatnonzero((x[:, first] == x[:, second]) & (y[:, first] == y[:, second]))
            if met.size:
                self._note(indices[met], first, second)

    def _note(self, rows: IntArray, first: int, second: int) -> None:
        """Note a collision of two particles in each of the environments `rows` `[M]`."""
        state = self._state
        pair = self.options.colours * state.colour[rows, first] + state.colour[rows, second]
        middle = UNIT * state.size[rows] // 2
        south, east = state.y[rows, first] >= middle, state.x[rows, first] >= middle
        new = state.since[rows, pair] < 0
        state.pairs[rows[new], state.known[rows[new]]] = pair[new]
        state.known[rows] += new
        state.quadrant[rows, pair] = 2 * south + east
        state.since[rows, pair] = state.time[rows]
        state.recent[rows] = pair
        state.collided[rows] = True

    def _ask(self, rows: Rows, bits: UIntArray) -> None:
        """Draw the questions of the current frame, from its bits `[M, P + 2]`."""
        state = self._state
        about_recent, which = bits[:, -2:].T
        known = state.known[rows].astype(np.uint64)
        some = pick(state.pairs, rows)[np.arange(len(known)), below(which, known)]
        recent = chance(about_recent, self.options.recent)
        state.question[rows] = np.where(recent, state.recent[rows], some)

    def _observe(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """Return positions, colours and questions."""
        state = self._state
        time = state.time[rows]
        obs = np.zeros((len(time), self.options.particles + 1, 1, 3), np.uint8)
        # A smaller arena is in the middle of the grid, so that its quadrants are those of the grid.
        margin = ((self._grid - state.size[rows]) // 2)[:, None]
        x, y = state.cells(rows)
        obs[:, :-1, 0, 0], obs[:, :-1, 0, 1] = x + margin, y + margin
        obs[:, :-1, 0, 2] = pick(state.colour, rows)
        obs[:, -1, 0, 0], obs[:, -1, 0, 1] = np.divmod(state.question[rows], self.options.colours)
        return obs

    def _info(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Return the entries listed under "Info" in the class docstring."""
        state = self._state
        time, length = state.time[rows].astype(np.int64), state.length[rows].astype(np.int64)
        since = pick(state.since, rows)[np.arange(len(time)), state.question[rows]]
        share = state.right[rows] / length
        return {
            "rl_expire.relevant": state.collided[rows].copy(),
            "rl_expire.decision": since < time,
            "age": time - since,
            "pairs": state.known[rows].astype(np.int64),
            "length": length,
            "share": share,
            "success": (time == length) & (share >= SUCCESS_SHARE),
        }

    def _frame(self, row: int) -> Frame:
        """Render the arena, and the question below it."""
        return draw_frame(self._state, row, self._grid, self.options.colours)


class CollisionEnv(SingleView):
    """One arena, a view of `CollisionVectorEnv`, which describes the task."""

    vector_class = CollisionVectorEnv
    title = "RLExpire/Collision-v0"
    action_names = ("north-west", "north-east", "south-west", "south-east")
