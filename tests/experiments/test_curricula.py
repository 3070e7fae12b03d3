"""The curricula of the tasks: every level can be played, and the last is the full task."""

from dataclasses import asdict
from typing import Any

import pytest

from envs.collision import CollisionOptions, CollisionVectorEnv
from envs.corridor import CorridorOptions
from envs.corridor.env import CorridorVectorEnv
from envs.instruction import InstructionOptions
from envs.instruction.env import InstructionVectorEnv
from envs.portal import PortalOptions
from envs.tmaze import TMazeOptions, TMazeVectorEnv
from experiments.collision import Collision
from experiments.corridor import Corridor
from experiments.instruction import Instruction
from experiments.portal import Portal
from experiments.tasks import TASKS
from experiments.tmaze import TMaze
from experiments.training.command_line import parse_options


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_cues": 4, "min_length": 5, "max_length": 100},
        {"num_cues": 2, "min_length": 3, "max_length": 3},
        {"num_cues": 9, "min_length": 10, "max_length": 10},
        {"min_length": 150, "max_length": 160},
        {"min_length": 2, "max_length": 2},
    ],
    ids=str,
)
def test_corridor_levels_can_be_played_and_the_last_is_the_task(options: dict[str, Any]) -> None:
    chosen = CorridorOptions(**options)
    levels = Corridor(env=chosen).levels()
    env = CorridorVectorEnv(1)
    for level in levels:
        env.change(**level.options)
        assert env.options.max_length == level.difficulty
    task = {"num_cues": 1, "min_length": 3, "max_length": 200} | options
    assert levels[-1].options == task
    cues = [level.options["num_cues"] for level in levels]
    assert cues == sorted(cues)
    assert set(cues) == set(range(1, chosen.num_cues + 1))
    assert [n for n, level in enumerate(levels) if level.new] == [
        cues.index(n) for n in sorted(set(cues))
    ]


def test_levels_with_fewer_cues_are_short_and_only_the_full_task_grows_long() -> None:
    options = CorridorOptions(num_cues=4, min_length=5, max_length=20)
    options_of_levels = [tuple(level.options.values()) for level in Corridor(env=options).levels()]
    assert options_of_levels[:4] == [(1, 3, 4), (2, 3, 4), (3, 4, 4), (4, 5, 5)]
    assert [longest for _, _, longest in options_of_levels[4:]] == [7, 10, 13, 17, 20]


def test_long_corridors_are_reached_from_short_ones() -> None:
    options = CorridorOptions(min_length=30, max_length=40)
    ranges = [tuple(level.options.values())[1:] for level in Corridor(env=options).levels()]
    assert ranges[:3] == [(3, 4), (4, 6), (5, 8)]
    assert ranges[-1] == (30, 40)


@pytest.mark.parametrize("longest", [20, 200])
def test_corridors_of_a_lesson_are_of_the_harder_half_by_which_it_is_judged(longest: int) -> None:
    levels = Corridor(env=CorridorOptions(num_cues=2, max_length=longest)).levels()
    assert len(levels) > 5
    for level in levels[:-1]:
        assert level.options["min_length"] > level.difficulty / 2
    assert levels[-1].options["min_length"] == 3, "the full task is as it was asked for"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"instructions": 1, "withdrawn": 0, "decoys": 0},
        {"instructions": 2, "withdrawn": 2, "decoys": 0, "ordered": True},
        {"chatter": 0.0, "min_distance": 1, "max_distance": 12},
        {"min_distance": 300, "max_distance": 400},
    ],
    ids=str,
)
def test_instruction_levels_can_be_played_and_the_last_is_the_task(options: dict[str, Any]) -> None:
    chosen = InstructionOptions(**options)
    levels = Instruction(env=chosen).levels()
    env = InstructionVectorEnv(1, **asdict(chosen))
    for level in levels:
        env.change(**level.options)
        _, info = env.reset(seed=0)
        assert info["distance"] == level.difficulty
    assert levels[-1].options == {name: getattr(chosen, name) for name in levels[-1].options}
    assert len(levels[-1].options) == 5
    difficulties = [level.difficulty for level in levels]
    assert difficulties == sorted(difficulties)
    first = levels[0].options
    assert (first["instructions"], first["withdrawn"], first["decoys"]) == (1, 0, 0)


def test_withdrawals_are_learned_with_one_instruction_then_the_others_then_decoys() -> None:
    levels = [tuple(level.options.values())[:3] for level in Instruction().levels() if level.new]
    assert levels == [(1, 0, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0), (3, 1, 1), (3, 1, 2)]


def test_portal_levels_grow_from_one_room_to_all_of_them() -> None:
    levels = Portal(env=PortalOptions(rooms=5)).levels()
    assert [level.options for level in levels] == [{"rooms": n} for n in range(1, 6)]


@pytest.mark.parametrize(
    "options", [{}, {"length": 16_000}, {"length": 9}, {"length": 300, "size": 4}], ids=str
)
def test_collision_levels_can_be_played_and_grow_in_length_and_size(
    options: dict[str, Any],
) -> None:
    chosen = CollisionOptions(**options)
    levels = Collision(env=chosen).levels()
    env = CollisionVectorEnv(1, **asdict(chosen))
    for level in levels:
        env.change(**level.options)
        _, info = env.reset(seed=0)
        assert info["length"] == level.difficulty
    sizes = [level.options["size"] for level in levels]
    assert sizes == sorted(sizes)
    assert levels[-1].options == {"length": chosen.length, "size": chosen.size}


@pytest.mark.parametrize(
    "options",
    [{}, {"active": True}, {"max_length": 3}, {"max_length": 3, "active": True}],
    ids=str,
)
def test_tmaze_levels_can_be_played_and_the_last_is_the_task(options: dict[str, Any]) -> None:
    chosen = TMazeOptions(**options)
    levels = TMaze(env=chosen).levels()
    env = TMazeVectorEnv(64, **asdict(chosen))
    for level in levels:
        env.change(**level.options)
        _, info = env.reset(seed=0)
        assert env.options.max_length == level.difficulty
        assert (info["length"] <= level.difficulty).all()
        assert info["rl_expire.relevant"].all() != level.options["active"]
    task = {name: getattr(chosen, name) for name in ("min_length", "max_length", "active")}
    assert levels[-1].options == task
    assert [level.difficulty for level in levels] == sorted(level.difficulty for level in levels)


def test_an_active_maze_begins_with_a_passive_lesson() -> None:
    levels = TMaze(env=TMazeOptions(active=True)).levels()
    assert [level.options["active"] for level in levels[:3]] == [False, True, True]
    assert [n for n, level in enumerate(levels) if level.new] == [1]


@pytest.mark.parametrize("task", TASKS)
def test_another_agent_gets_the_options_that_the_task_sets_for_all_agents(task: str) -> None:
    default = TASKS[task]().agent
    for words in ([], ["--agent", default.name]):
        assert parse_options(TASKS[task], words, "prog").agent == default
    for name in ("lstm", "gru"):
        other = parse_options(TASKS[task], ["--agent", name], "prog").agent
        assert other.name == name
        for option in ("last_action", "last_obs", "layers", "reconstruct"):
            assert getattr(other, option) == getattr(default, option)
