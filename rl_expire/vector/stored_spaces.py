"""The spaces of an environment as an entry of `config.json`, and what stands for it later on."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym

from rl_expire.vector.reading import Reading, apply_reading
from rl_expire.vector.space_json import BAD_ENTRY, space_from_json, space_to_json

SPACES = "spaces"
"""Key of the entry, in the metadata of environments and in `config.json`."""
LARGEST = 2**16
"""Most characters of an entry. Only boxes with many different bounds need more."""


class SpacesOnly(gym.Env):
    """The spaces of an environment, without the environment: it can be neither reset nor stepped.

    Args:
        observation_space: before it is read as agents do.
        action_space: its action space.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space):
        """Keep the spaces."""
        self.observation_space = observation_space
        self.action_space = action_space


def spaces_entry(
    observation_space: gym.Space, action_space: gym.Space, reading: Reading | None = None
) -> dict[str, Any]:
    """Return `{SPACES: entry}`, or nothing if the entry would be larger than `LARGEST`.

    Args:
        observation_space: of one environment, before `reading` is applied.
        action_space: of one environment.
        reading: how agents read its observations.
    """
    reading = reading or Reading()
    entry = {
        "observation": space_to_json(observation_space),
        "action": space_to_json(action_space),
        "cells": sorted(reading.cells, key=str),
        "constant": dict(reading.constant),
    }
    return {SPACES: entry} if len(json.dumps(entry)) <= LARGEST else {}


def read_spaces(config: dict[str, Any]) -> tuple[SpacesOnly, Reading] | None:
    """Return the spaces in the content of a `config.json`, and how agents read them.

    Returns:
        None if it has no spaces.

    Raises:
        ValueError: its entry is not one of `spaces_entry`.
    """
    entry = config.get(SPACES)
    if entry is None:
        return None
    try:
        env = SpacesOnly(space_from_json(entry["observation"]), space_from_json(entry["action"]))
        reading = Reading(frozenset(entry["cells"]), dict(entry["constant"]))
        apply_reading(env, reading)
    except BAD_ENTRY as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"its entry {SPACES} is damaged ({reason})") from None
    return env, reading
