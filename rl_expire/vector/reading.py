"""Decide from an environment's first episodes how its observations are to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from rl_expire.vector.cells import as_cells, may_be_cells
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
        cells: keys of the observations that are MiniGrid's cells; None is an observation that is
            not a dict.
        constant: texts that are the same in every episode, by key.
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
    parts = _parts(env.observation_space)
    cells = {key: as_cells(space) for key, space in parts.items() if may_be_cells(env, space)}
    texts = {key for key, space in parts.items() if may_be_constant(space)}
    if not (cells or texts):
        return Reading()
    first: Any = None
    episodes = 0
    for episodes, obs in enumerate(_first_observations(make), start=1):
        obs = _parts(obs)
        first = obs if first is None else first
        cells = {key: space for key, space in cells.items() if (obs[key] <= space.high).all()}
        texts = {key for key in texts if obs[key] == first[key]}
        if not texts and episodes == FEWEST:
            break
    complete = episodes == EPISODES
    constant = {str(key): first[key] for key in sorted(texts, key=str) if complete}
    return Reading(frozenset(cells), constant)


def apply_reading(env: gym.Env, reading: Reading) -> gym.Env:
    """Declare cells, turn texts into tokens, and leave out constant texts."""
    parts = _parts(env.observation_space)
    if reading.cells:
        env = gym.Wrapper(env)
        declared: dict[Any, gym.Space] = {
            key: as_cells(space) if key in reading.cells else space for key, space in parts.items()
        }
        plain = None in parts
        env.observation_space = declared[None] if plain else spaces.Dict(declared)
    if None not in parts and any(map(is_text, parts.values())):
        env = TokenizeText(env, reading.constant)
        env.metadata = {**env.metadata, LEFT_OUT: dict(reading.constant)}
    return env


def _parts(of: Any) -> dict[Any, Any]:
    """Return the parts of an observation or a space by key; None is the key of all of it."""
    return dict(of) if isinstance(of, Mapping | spaces.Dict) else {None: of}


def _first_observations(make: Callable[[], gym.Env]) -> Iterator[Any]:
    """Yield the first observations of up to `EPISODES` episodes with different seeds.

    They end early if the environment fails; then it fails again when it is used.
    """
    with suppress(Exception), closing(make()) as env:
        for seed in range(EPISODES):
            yield env.reset(seed=seed)[0]
