"""The Portal's rules: doors, first visits, limits, looks, and its ceiling."""

from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from minigrid.core.constants import COLOR_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Door, Goal, Key, Wall
from minigrid.minigrid_env import MiniGridEnv

from envs.minigrid_view import EAST, FORWARD, LEFT, RIGHT
from envs.portal import PortalEnv, PortalVectorEnv
from envs.portal.ceiling import expected_return
from tests.envs.play import oracle_returns

NORTH_DOOR, SOUTH_DOOR = 0, 1
COLOURS = tuple(COLOR_TO_IDX)


def core_of(env: PortalEnv) -> PortalVectorEnv:
    return cast(PortalVectorEnv, env.core)


def right_door(env: PortalEnv) -> int:
    state = core_of(env)._state
    return int(state.right[0, state.room[0]])


def take(env: PortalEnv, door: int) -> tuple[float, bool, bool, dict[str, Any]]:
    """Walk from the entrance of a room of two columns through a door."""
    env.step(FORWARD)
    env.step(LEFT if door == NORTH_DOOR else RIGHT)
    _, reward, terminated, truncated, info = env.step(FORWARD)
    return reward, terminated, truncated, info


def maze(**options: Any) -> PortalEnv:
    env = PortalEnv(**options)
    _, info = env.reset(seed=0)
    assert (info["room"], info["reached"]) == (0, 0)
    assert not info["rl_expire.relevant"]
    assert not info["rl_expire.decision"]
    return env


def test_doors_lead_on_or_back_and_only_first_visits_are_rewarded() -> None:
    env = maze(rooms=3)
    state = core_of(env)._state
    outcomes = []
    for right in (True, False, False, True, True, True):
        door = right_door(env) if right else 1 - right_door(env)
        reward, terminated, truncated, info = take(env, door)
        outcomes.append(
            (info["room"], info["reached"], reward, info["rl_expire.relevant"], terminated)
        )
        assert not truncated
        assert (state.x[0], state.direction[0]) == (0, EAST)
    assert outcomes == [
        (1, 1, 1.0, True, False),
        (0, 1, 0.0, True, False),
        (0, 1, 0.0, False, False),  # the other door of the first room
        (1, 1, 0.0, False, False),
        (2, 2, 1.0, False, False),  # the other door of the second room
        (3, 3, 1.0, False, True),  # the last room, where nothing is left to be needed
    ]
    assert info["success"]
    assert not info["rl_expire.decision"]


def test_a_decision_is_marked_between_the_doors() -> None:
    env = maze()
    *_, info = env.step(FORWARD)
    assert info["rl_expire.decision"]
    *_, info = env.step(FORWARD)
    assert (info["rl_expire.decision"], info["room"]) == (True, 0), "the east wall blocks"
    for turn in (LEFT, LEFT, FORWARD):
        *_, info = env.step(turn)
    assert not info["rl_expire.decision"]
    for turn in (RIGHT, FORWARD):
        *_, info = env.step(turn)
    assert (info["rl_expire.decision"], info["room"]) == (False, 0), "the sign blocks"


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 150),
        ({"rooms": 1}, 6),
        ({"rooms": 3}, 24),
        ({"rooms": 50}, 2750),
        ({"step_limit": 7}, 7),
        ({"room_length": 5}, 300),
    ],
)
def test_an_episode_ends_exactly_at_the_step_limit(options: dict[str, Any], limit: int) -> None:
    env = PortalVectorEnv(2, **options)
    env.reset(seed=0)
    for step in range(1, limit + 1):
        _, _, terminated, truncated, _ = env.step(np.full(2, LEFT))
        assert not truncated.any()
        assert terminated.all() == terminated.any() == (step == limit)


def test_the_last_room_can_be_passed_on_the_last_step() -> None:
    env = maze(rooms=1, step_limit=3)
    reward, terminated, _, info = take(env, right_door(env))
    assert (reward, terminated, info["success"]) == (1.0, True, True)


def naive_return(rooms: int, crossing: int, limit: int) -> float:
    """Return the mean over all outcomes of the guesses."""
    total = 0.0
    for wrong in product((0, 1), repeat=rooms):
        steps = np.cumsum([crossing * (1 + k * w) for k, w in enumerate(wrong, start=1)])
        total += float((steps <= limit).sum())
    return total / 2**rooms


@pytest.mark.parametrize(
    ("rooms", "crossing", "limit"), [(1, 3, 3), (3, 3, 17), (6, 2, 40), (10, 3, 150), (4, 5, 4)]
)
def test_the_ceiling_is_the_mean_over_all_outcomes(rooms: int, crossing: int, limit: int) -> None:
    assert expected_return(rooms, crossing, limit) == pytest.approx(
        naive_return(rooms, crossing, limit)
    )


@pytest.mark.parametrize(
    "options",
    [{"rooms": 4, "step_limit": 25, "distinct": False}, {"rooms": 4, "room_length": 4}],
    ids=str,
)
def test_the_ceiling_is_the_oracles_mean_return_in_20000_episodes(options: dict[str, Any]) -> None:
    count = 20_000
    env = PortalVectorEnv(count, colours=2, **options)  # few looks are drawn faster
    total = oracle_returns(env)
    error = total.std() / count**0.5
    assert total.mean() == pytest.approx(env.expected_return(), abs=4 * error)


def test_the_default_ceiling_is_nearly_every_room() -> None:
    assert PortalVectorEnv(1).expected_return() == pytest.approx(9.894, abs=5e-4)


def test_doors_and_looks_are_uniform_and_drawn_for_every_episode() -> None:
    env = PortalVectorEnv(2000, rooms=5)
    env.reset(seed=0)
    state = env._state
    before = state.right.copy()
    assert np.abs(before.mean(0) - 0.5).max() < 0.05
    # Neighbouring rooms agree as often as not.
    assert np.abs((before[:, 1:] == before[:, :-1]).mean(0) - 0.5).max() < 0.05
    assert np.abs(np.bincount(state.sign.ravel(), minlength=18) / 10_000 - 1 / 18).max() < 0.01
    assert (state.doors[..., 0] != state.doors[..., 1]).all()
    env.reset()
    assert 0.4 < (state.right == before).mean() < 0.6


@pytest.mark.parametrize(("rooms", "colours"), [(10, 6), (36, 2), (200, 6)])
def test_distinct_rooms_all_look_different(rooms: int, colours: int) -> None:
    env = PortalVectorEnv(20, rooms=rooms, colours=colours)
    env.reset(seed=0)
    state = env._state
    assert state.doors.max() < colours
    for row in range(20):
        looks = {(s, *d) for s, d in zip(state.sign[row], state.doors[row].tolist(), strict=True)}
        assert len(looks) == rooms


def test_without_distinct_all_rooms_look_alike() -> None:
    env = PortalVectorEnv(20, distinct=False)
    env.reset(seed=0)
    for array in (env._state.sign, env._state.doors):
        assert (array == array[:, :1]).all()
    assert len(np.unique(env._state.sign[:, 0])) > 5


def test_fewer_rooms_take_effect_at_the_next_episode() -> None:
    env = PortalVectorEnv(3, rooms=8)
    _, info = env.reset(seed=0)
    env.change(rooms=2)
    assert (info["rooms"] == 8).all()
    assert (env.options.episode_length, env.expected_return() <= 2) == (14, True)
    _, info = env.reset()
    assert (info["rooms"] == 2).all()
    with pytest.raises(ValueError, match="rooms=9 is impossible: give at most 8"):
        env.change(rooms=9)
    with pytest.raises(ValueError, match="rooms=0 is impossible: give 1 to 500"):
        env.change(rooms=0)
    assert env.options.rooms == 2


def test_the_share_is_relative_to_the_ceiling_of_its_own_episode() -> None:
    """One of two mazes of eight rooms restarts with two rooms while the other continues."""
    env = PortalVectorEnv(2, rooms=8)
    env.reset(seed=0)
    eight = env.expected_return()
    env.change(rooms=2)
    env.reset(options={"reset_mask": np.array([True, False])})
    two = env.expected_return()
    oracle, first = env.oracle(), np.ones(2, np.bool_)
    obs, info = env._observe(slice(None)), {}
    for _ in range(9):
        obs, _, terminated, truncated, info = env.step(oracle.act(obs, first))
        first = terminated | truncated
        if first[0]:
            break
        assert info["share"].tolist() == [info["reached"][0] / two, info["reached"][1] / eight]
        assert info["reached"].max() <= 8
    assert info["reached"].sum() > 0


class NaiveRoom(MiniGridEnv):
    """One room, filled in object by object."""

    def __init__(self, core: PortalVectorEnv) -> None:
        self.core = core
        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: "remember"),
            width=core.options.room_length + 2,
            height=3,
            max_steps=10,
            see_through_walls=True,
            agent_view_size=core.options.view_size,
        )
        self.reset()

    def _gen_grid(self, width: int, height: int) -> None:
        state, room = self.core._state, int(self.core._state.room[0])
        self.grid = Grid(width, height)
        for x in range(width):
            self.grid.set(x, 0, Wall())
            self.grid.set(x, 2, Wall())
        self.grid.set(0, 1, Wall())
        self.grid.set(width - 1, 1, Wall())
        kind, colour = divmod(int(state.sign[0, room]), 6)
        sign = (Ball, Key, Box)[kind](COLOURS[colour])
        self.grid.set(1, 0, Goal() if room == 0 else sign)
        for door, y in ((NORTH_DOOR, 0), (SOUTH_DOOR, 2)):
            colour = COLOURS[int(state.doors[0, room, door])]
            self.grid.set(width - 2, y, Door(colour))
        self.agent_pos = (int(state.x[0]) + 1, 1)
        self.agent_dir = int(state.direction[0])
        self.mission = "remember"


@pytest.mark.parametrize("options", [{}, {"room_length": 4, "view_size": 7}, {"view_size": 3}])
def test_the_view_equals_minigrids_everywhere(options: dict[str, Any]) -> None:
    env = PortalEnv(rooms=4, **options)
    core = core_of(env)
    for seed in range(3):
        env.reset(seed=seed)
        state = core._state
        for room, x, direction in product(range(4), range(core.options.room_length), range(4)):
            state.room[0], state.x[0], state.direction[0] = room, x, direction
            expected = NaiveRoom(core).gen_obs()["image"]
            np.testing.assert_array_equal(core.observe()[0], expected)


def test_all_frames_have_the_same_size() -> None:
    env = PortalEnv(rooms=5, render_mode="rgb_array")
    env.reset(seed=0)
    shapes = set()
    for action in (FORWARD, LEFT, FORWARD, FORWARD, RIGHT, FORWARD):
        env.step(action)
        frame = env.render()
        assert frame is not None
        shapes.add(frame.shape)
    assert len(shapes) == 1
