"""Decide from an environment's first episodes how its observations are to be read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from rl_expire.vector.cells import as_cells, may_be_cells
from rl_expire.vector.nest import leaves, leaves_of, space_of
from rl_expire.vector.tokenize_text import TokenizeText, is_text, may_be_constant

EPISODES = 32
"""Episodes in which a text has to be the same to count as constant."""
FEWEST = 4
"""Episodes to look at where no text is in question."""
LEFT_OUT = "left_out"
"""Key of an environment's metadata that holds the constant texts left out, by their keys."""


@dataclass(frozen=True)
class Reading:
    """What the first episodes of an environment show about its observations.

    Attributes:
        cells: names of the observations that are MiniGrid's cells; None is an observation without
            parts. Those of nested ones are as in `rl_expire.vector.nest`.
        constant: texts that are the same in every episode, by name.
    """

    cells: frozenset[str | None] = frozenset()
    constant: Mapping[str, str] = field(default_factory=dict)


def decide_reading(env: gym.Env, make: Callable[[], gym.Env]) -> Reading:
    """Return how to read the observations of `env`.

    Args:
        env: the environment; it is not reset.
        make: makes another one like it, to start episodes in. Only called where the environment
            and its observation space leave a question open.
    """
    whole = env.observation_space
    parts = leaves(whole)
    cells = {key: as_cells(space) for key, space in parts.items() if may_be_cells(env, space)}
    texts = {key for key, space in parts.items() if may_be_constant(space)}
    if not (cells or texts):
        return Reading()
    first: Any = None
    episodes = 0
    for episodes, obs in enumerate(_first_observations(make), start=1):
        obs = leaves_of(whole, obs)
        first = obs if first is None else first
        cells = {key: space for key, space in cells.items() if (obs[key] <= space.high).all()}
        texts = {key for key in texts if obs[key] == first[key]}
        if not texts and episodes == FEWEST:
            break
    complete = episodes == EPISODES
    named = sorted(str(key) for key in texts if key is not None)
    constant = {key: first[key] for key in named if complete}
    return Reading(frozenset(cells), constant)


def apply_reading(env: gym.Env, reading: Reading) -> gym.Env:
    """Declare cells, turn texts into tokens, and leave out constant texts."""
    if any(map(is_text, leaves(env.observation_space).values())):
        env = TokenizeText(env, reading.constant)
        env.metadata = {**env.metadata, LEFT_OUT: dict(reading.constant)}
    return DeclareCells(env, reading.cells) if reading.cells else env


class DeclareCells(gym.ObservationWrapper):
    """Wrapper that gives MiniGrid's cells their bounds; nested observations become flat ones.

    Args:
        env: the environment.
        cells: names of the cells in the flat observation; None is one without parts.
    """

    def __init__(self, env: gym.Env, cells: Collection[str | None]):
        """Replace the cells in the observation space of `env`."""
        super().__init__(env)
        self.nested = env.observation_space
        declared: dict[Any, Any] = {
            name: as_cells(space) if name in cells else space
            for name, space in leaves(self.nested).items()
        }
        self.observation_space = space_of(declared)

    def observation(self, observation: Any) -> Any:
        """Return the observation without nesting."""
        parts = leaves_of(self.nested, observation)
        return parts.get(None, parts)


def _first_observations(make: Callable[[], gym.Env]) -> Iterator[Any]:
    """Yield the first observations of up to `EPISODES` episodes with different seeds.

    They end early if the environment fails; then it fails again when it is used.
    """
    with suppress(Exception), closing(make()) as env:
        for seed in range(EPISODES):
            yield env.reset(seed=seed)[0]
