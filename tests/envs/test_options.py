"""Every impossible option is refused in one line that names the option and the remedy."""

import re
from typing import Any

import gymnasium
import pytest

import envs  # noqa: F401 (registers the ids)
from envs.collision import CollisionOptions
from envs.corridor import CorridorOptions
from envs.instruction import InstructionOptions
from envs.portal import PortalOptions
from envs.tmaze import TMazeOptions

IMPOSSIBLE: list[tuple[type, dict[str, Any], str]] = [
    (CorridorOptions, {"min_length": 9, "max_length": 5}, "max_length=5 .* give max_length >= 9"),
    (CorridorOptions, {"min_length": 0}, "min_length=0 .* give min_length >= 2"),
    (CorridorOptions, {"num_cues": 4}, "min_length=3 .* num_cues=4: give min_length >= 5"),
    (CorridorOptions, {"num_cues": 0}, "num_cues=0 .* give 1 to"),
    (CorridorOptions, {"num_cues": 65}, "num_cues=65 .* give 1 to"),
    (CorridorOptions, {"max_length": 10**9}, "max_length=1000000000 .* give at most"),
    (CorridorOptions, {"max_length": 10.5}, "max_length=10.5 .* whole number"),
    (CorridorOptions, {"view_size": 4}, "view_size=4 .* odd"),
    (CorridorOptions, {"view_size": 1}, "view_size=1 .* 3 or more"),
    (CorridorOptions, {"distractors": 1.5}, "distractors=1.5 .* give 0 to 1"),
    (CorridorOptions, {"distractors": float("nan")}, "distractors=nan .* give 0 to 1"),
    (CorridorOptions, {"wrong_reward": float("inf")}, "wrong_reward=inf .* finite number"),
    (PortalOptions, {"rooms": 0}, "rooms=0 is impossible: give 1 to 500"),
    (PortalOptions, {"rooms": 37, "colours": 2}, "rooms=37 is impossible: give 1 to 36"),
    (PortalOptions, {"rooms": 501, "distinct": False}, "rooms=501 is impossible: give 1 to 500"),
    (PortalOptions, {"rooms": 2.5}, "rooms=2.5 is not an integer"),
    (PortalOptions, {"colours": 1}, "colours=1 is impossible: give 2 to 6"),
    (PortalOptions, {"colours": 7}, "colours=7 is impossible: give 2 to 6"),
    (PortalOptions, {"room_length": 1}, "room_length=1 is impossible: give 2 or more"),
    (PortalOptions, {"step_limit": 0}, "step_limit=0 is impossible: give 1 or more"),
    (PortalOptions, {"view_size": 4}, "view_size=4 is impossible: give an odd number"),
    (InstructionOptions, {"instructions": 0}, "instructions=0 is impossible: give 1 or more"),
    (InstructionOptions, {"withdrawn": -1}, "withdrawn=-1 is impossible: give 0 or more"),
    (InstructionOptions, {"decoys": -1}, "decoys=-1 is impossible: give 0 or more"),
    (InstructionOptions, {"chatter": 1.0}, "chatter=1.0 is impossible: give 0 to below 1"),
    (InstructionOptions, {"chatter": float("nan")}, "chatter=nan is impossible"),
    (InstructionOptions, {"instructions": 7}, "places=8 is too few for 8 .* give places >= 9"),
    (InstructionOptions, {"instructions": 6, "places": 12}, "deeds=6 is too few for 7"),
    (InstructionOptions, {"min_distance": 0}, "min_distance=0 is impossible: give 1 or more"),
    (InstructionOptions, {"max_distance": 30}, "max_distance=30 is impossible: give 36 to"),
    (InstructionOptions, {"places": 13}, "places=13 is impossible: give 2 to 12"),
    (InstructionOptions, {"deeds": 9}, "deeds=9 is impossible: give 1 to 8"),
    (CollisionOptions, {"length": 0}, "length=0 is impossible: give 1 to"),
    (CollisionOptions, {"length": 1.5}, "length=1.5 is not an integer"),
    (CollisionOptions, {"size": 2}, "size=2 is impossible: give 4 to 32"),
    (CollisionOptions, {"size": 7}, "size=7 is odd: give an even number"),
    (CollisionOptions, {"particles": 1}, "particles=1 is impossible: give 2 to 16"),
    (CollisionOptions, {"colours": 7}, "colours=7 is impossible: give 2 to 6"),
    (CollisionOptions, {"change": -0.1}, "change=-0.1 is not a probability: give 0 to 1"),
    (CollisionOptions, {"recent": float("nan")}, "recent=nan is not a probability"),
    (TMazeOptions, {"min_length": 0}, "min_length=0 is impossible: give 1 to"),
    (TMazeOptions, {"max_length": 2}, "max_length=2 is impossible: give 3 to"),
    (TMazeOptions, {"max_length": 10**9}, "max_length=1000000000 is impossible: give 3 to"),
    (TMazeOptions, {"max_length": 4.5}, "max_length=4.5 is not an integer"),
    (TMazeOptions, {"penalty": -1.0}, "penalty=-1.0 is impossible: give a number of 0 or more"),
    (TMazeOptions, {"penalty": float("nan")}, "penalty=nan is impossible"),
    (TMazeOptions, {"active": "yes"}, "active='yes' is not a truth value: give True or False"),
]


@pytest.mark.parametrize(("options_type", "values", "message"), IMPOSSIBLE)
def test_impossible_options_are_refused_by_name_and_remedy(
    options_type: type, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        options_type(**values)
    assert "\n" not in str(caught.value)
    name = re.match(r"\w+(?==)", str(caught.value))
    assert name is not None
    assert name.group() in options_type.__dataclass_fields__, "command lines name its flag instead"


def make(env_id: str, **options: Any) -> Any:
    return gymnasium.make(env_id, **options)


def make_vec(env_id: str, **options: Any) -> Any:
    return gymnasium.make_vec(env_id, vectorization_mode="vector_entry_point", **options)


@pytest.mark.parametrize(
    ("task", "name", "bad"),
    [
        ("Corridor", "max_length", 2),
        ("Portal", "rooms", 0),
        ("Instruction", "max_distance", 3),
        ("Collision", "length", 0),
        ("TMaze", "max_length", 2),
    ],
)
def test_environments_check_and_keep_their_options(task: str, name: str, bad: int) -> None:
    for maker in (make, make_vec):
        with pytest.raises(ValueError, match=f"^{name}={bad} .* give "):
            maker(f"RLExpire/{task}-v0", **{name: bad})
    single = make(f"RLExpire/{task}-v0", **{name: 50}).unwrapped
    batch = make_vec(f"RLExpire/{task}-v0", **{name: 50})
    assert getattr(single.core.options, name) == getattr(batch.options, name) == 50
