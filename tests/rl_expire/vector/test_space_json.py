"""Spaces survive JSON, and what is no space is refused in one line."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_expire.vector.space_json import space_from_json, space_to_json
from tests.acting import ACTION_SPACES
from tests.support import SPACES

INF = np.inf
MORE: list[Any] = [
    spaces.Discrete(3, dtype=np.int32),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[1, 1], [0, 2]])),
    spaces.MultiDiscrete([3, 3, 3], dtype=np.int32),
    spaces.MultiBinary((2, 3)),
    spaces.Box(np.array([-1, -INF], np.float32), np.array([INF, 3], np.float32)),
    spaces.Box(0, 255, (84, 84, 3), np.uint8),
    spaces.Box(-INF, INF, (2,), np.int64),
    spaces.Box(-(2**60) - 1, 2**60 + 1, (2,), np.int64),
    spaces.Box(0, 1, (2,), bool),  # type: ignore[call-overload]
    spaces.Box(-1, 1, ()),
    spaces.Box(0.1, 0.7, (2,), np.float64),
    spaces.Dict([("z", spaces.Discrete(2)), ("a", spaces.Tuple([spaces.Discrete(3)]))]),
]


@pytest.mark.parametrize("space", [*SPACES.values(), *ACTION_SPACES.values(), *MORE], ids=str)
def test_a_space_is_the_same_after_json(space: gym.Space) -> None:
    text = json.dumps(space_to_json(space), allow_nan=False)
    restored = space_from_json(json.loads(text))
    assert (restored, restored.dtype, restored.shape) == (space, space.dtype, space.shape)
    if isinstance(space, spaces.Dict):
        assert isinstance(restored, spaces.Dict)
        assert list(restored) == list(space)
    if isinstance(space, spaces.Box):
        assert isinstance(restored, spaces.Box)
        for name in ("low", "high", "bounded_below", "bounded_above"):
            assert (getattr(restored, name) == getattr(space, name)).all()


def test_bounds_that_are_alike_are_stored_once() -> None:
    entry = space_to_json(SPACES["minigrid"])
    assert (entry["low"], entry["high"]) == (0, [10, 5, 3])


def test_a_mission_is_any_text_and_a_class_of_its_own_is_what_it_inherits() -> None:
    env = gym.make("BabyAI-GoToObj-v0")
    assert isinstance(env.observation_space, spaces.Dict)
    restored = space_from_json(space_to_json(env.observation_space))
    assert isinstance(restored, spaces.Dict)
    assert isinstance(restored["mission"], spaces.Text)
    assert restored["image"] == env.observation_space["image"]

    class Own(spaces.Discrete):
        """A space of one's own."""

    assert space_from_json(space_to_json(Own(3))) == spaces.Discrete(3)


def nested(depth: int) -> dict[str, Any]:
    """Return tuples within tuples."""
    entry = space_to_json(spaces.Discrete(2))
    for _ in range(depth):
        entry = {"type": "Tuple", "spaces": [entry]}
    return entry


BOX = space_to_json(spaces.Box(0, 1, (2,)))
DISCRETE = space_to_json(spaces.Discrete(2))
MULTI = space_to_json(spaces.MultiDiscrete([2, 2]))
WRONG: list[Any] = [
    *(None, [], "x", {}, {"type": []}, {"type": "os"}, {"type": "Box"}, nested(2000)),
    *(BOX | {"shape": shape} for shape in ([10**9, 10**9], [-1], [True], [1] * 40, 3, None)),
    *(BOX | {"dtype": dtype} for dtype in ("O", "V1000000000", "no", 3)),
    *(BOX | {"low": low} for low in ([0, 1, 2], "a", [0, [1]], 2, 10**400, {}, float("nan"))),
    BOX | {"dtype": "uint8", "low": -1},
    *(DISCRETE | {"n": n} for n in (-1, "a", 2.5, 10**30, None)),
    *(MULTI | {"nvec": nvec} for nvec in (-1, "a", [1, 2, 3], None)),
    *({"type": "Dict", "spaces": value} for value in ([], {"a": 3}, None)),
    *({"type": "Tuple", "spaces": value} for value in (3, {"a": 1}, None)),
    space_to_json(spaces.Sequence(spaces.Discrete(2))),
    space_to_json(spaces.Dict({1: spaces.Discrete(2)})),  # type: ignore[dict-item]
]


@pytest.mark.parametrize("entry", WRONG, ids=range(len(WRONG)))
def test_what_is_no_space_is_refused_in_one_line(entry: Any) -> None:
    with pytest.raises(ValueError, match="it describes no space") as caught:
        space_from_json(entry)
    assert len(str(caught.value).splitlines()) == 1
