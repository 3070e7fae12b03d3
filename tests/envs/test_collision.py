"""The Collision task's rules: straight lines, borders, colours, questions and smaller arenas."""

from typing import Any

import numpy as np
import pytest

from envs.array_env.arrays import ALL
from envs.collision import CollisionEnv, CollisionVectorEnv
from envs.collision.motion import DIRECTIONS, UNIT, VELOCITIES, move
from envs.collision.oracle import CollisionOracle
from tests.envs.play import oracle_returns

WORLDS: list[dict[str, Any]] = [
    {},
    {"particles": 4, "size": 4, "colours": 3},
    {"colours": 6, "change": 0.5, "size": 6},
]


def arena(num_envs: int = 64, **options: Any) -> CollisionVectorEnv:
    env = CollisionVectorEnv(num_envs, **options)
    env.reset(seed=0)
    return env


def answer(env: CollisionVectorEnv, value: int = 0) -> dict[str, Any]:
    """Give the same answer everywhere, and return the info."""
    return env.step(np.full(env.num_envs, value))[-1]


def naive_move(
    place: list[int], velocity: list[int], end: int, direction: int
) -> tuple[list[int], list[int]]:
    """Move one particle; `direction` is taken at the border."""
    ahead = [place[0] + velocity[0], place[1] + velocity[1]]
    if all(0 <= at < end for at in ahead):
        return ahead, velocity
    velocity = [int(step) for step in VELOCITIES[:, direction]]
    for axis in (0, 1):
        if not 0 <= place[axis] + velocity[axis] < end:
            velocity[axis] = -velocity[axis]
    return [place[0] + velocity[0], place[1] + velocity[1]], velocity


def test_particles_move_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(2, 6, 40).astype(np.int32) * 2
    x, y = (rng.integers(0, 4 * UNIT, (40, 3)).astype(np.int32) for _ in range(2))
    start = rng.integers(0, DIRECTIONS, (40, 3))
    velocity = VELOCITIES[0][start], VELOCITIES[1][start]
    turned = 0
    for _ in range(60):
        bits = rng.integers(0, 2**63, (40, 3)).astype(np.uint64)
        before = [array.copy() for array in (x, y, *velocity)]
        move((x, y), velocity, size, bits)
        for row, particle in np.ndindex(40, 3):
            at_x, at_y, step_x, step_y = (int(array[row, particle]) for array in before)
            direction = int(bits[row, particle]) % DIRECTIONS
            end = UNIT * int(size[row])
            place, step = naive_move([at_x, at_y], [step_x, step_y], end, direction)
            assert [x[row, particle], y[row, particle]] == place
            assert [velocity[0][row, particle], velocity[1][row, particle]] == step
            turned += step != [step_x, step_y]
    assert turned > 500


def test_directions_are_a_cell_long_and_never_along_borders_or_diagonals() -> None:
    assert np.abs(np.hypot(*VELOCITIES) / UNIT - 1).max() < 1e-3
    x, y = np.abs(VELOCITIES)
    assert (np.minimum(x, y) > 0).all()
    assert (x != y).all()
    assert len({tuple(step) for step in VELOCITIES.T}) == DIRECTIONS


def test_all_cells_are_visited_alike_and_collisions_are_as_frequent_as_by_chance() -> None:
    env = arena(256, length=1000, size=8)
    visits, collisions = np.zeros(64), 0.0
    for _ in range(400):
        info = answer(env)
        x, y = env._state.cells(ALL)
        visits += np.bincount((8 * y + x).ravel(), minlength=64)
        collisions += info["rl_expire.relevant"].mean()
    share = visits / visits.sum() * 64
    assert 0.6 < share.min() < share.max() < 1.4
    assert collisions / 400 == pytest.approx(1 / 64, rel=0.15)


def test_colours_change_to_each_other_colour_with_the_given_probability() -> None:
    env = arena(500, change=0.2, colours=3, size=4)
    steps = np.zeros(3)
    for _ in range(100):
        before = env._state.colour.copy()
        answer(env)
        steps += np.bincount(((env._state.colour - before) % 3).ravel(), minlength=3)
    np.testing.assert_allclose(steps / steps.sum(), [0.8, 0.1, 0.1], atol=0.005)


@pytest.mark.parametrize("options", WORLDS, ids=str)
def test_info_and_answers_follow_from_the_observations_so_far(options: dict[str, Any]) -> None:
    env = CollisionVectorEnv(8, length=120, **options)
    obs, info = env.reset(seed=3)
    middle = env.options.size // 2
    answers: list[dict[tuple[int, int], tuple[int, int]]] = [{} for _ in range(8)]
    for time in range(119):
        collided = [_note(cells[:, 0], time, middle, answers[row]) for row, cells in enumerate(obs)]
        assert info["rl_expire.relevant"].tolist() == collided
        asked = [answers[row][tuple(obs[row, -1, 0, :2].tolist())] for row in range(8)]
        assert info["age"].tolist() == [time - when for _, when in asked]
        assert info["rl_expire.decision"].tolist() == [when < time for _, when in asked]
        assert info["pairs"].tolist() == [len(known) for known in answers]
        right = np.array([quadrant for quadrant, _ in asked])
        action = np.where(np.arange(8) % 2, right, (right + 1) % 4)
        obs, reward, _, _, info = env.step(action)
        assert reward.tolist() == [0, 1] * 4
        np.testing.assert_allclose(info["share"], reward * (time + 1) / 120)


def _note(
    cells: np.ndarray, time: int, middle: int, known: dict[tuple[int, int], tuple[int, int]]
) -> bool:
    """Note quadrant and time of the collisions of one frame; return whether there are any."""
    any_collision = False
    *particles, _ = cells.astype(int).tolist()
    for n, (x, y, colour) in enumerate(particles):
        for other_x, other_y, other_colour in particles[n + 1 :]:
            if (x, y) == (other_x, other_y):
                known[colour, other_colour] = (2 * (y >= middle) + (x >= middle), time)
                any_collision = True
    return any_collision


@pytest.mark.parametrize("options", WORLDS, ids=str)
def test_perfect_memory_answers_every_question(options: dict[str, Any]) -> None:
    env = CollisionVectorEnv(64, length=300, **options)
    assert (oracle_returns(env) == env.expected_return()).all()


def test_a_window_answers_what_is_in_it_and_otherwise_north_west() -> None:
    env = CollisionVectorEnv(64, length=400, size=8)
    oracle = CollisionOracle(64, 8, env.options.colours, window=30)
    (obs, info), first = env.reset(seed=0), np.ones(64, np.bool_)
    lost = 0
    for _ in range(399):
        action, inside = oracle.act(obs, first), info["age"] < 30
        obs, reward, _, _, info = env.step(action)
        first[:] = False
        assert (reward[inside] == 1).all()
        assert (action[~inside] == 0).all()
        lost += (reward == 0).sum()
    assert lost > 1000


@pytest.mark.parametrize("recent", [0.0, 0.4, 1.0])
def test_questions_ask_for_the_last_pair_or_for_any_that_collided(recent: float) -> None:
    env = arena(400, size=4, length=1000, recent=recent)
    about_last, expected, pairs = 0.0, 0.0, np.zeros(25)
    for _ in range(150):
        known = answer(env)["pairs"]
        about_last += (env._state.question == env._state.recent).mean()
        expected += (recent + (1 - recent) / known).mean()
        pairs += np.bincount(env._state.question, minlength=25)
    assert about_last / 150 == pytest.approx(expected / 150, abs=0.01)
    assert (pairs > 0).all()


def test_an_episode_has_its_length_and_is_a_success_if_nine_in_ten_answers_are_right() -> None:
    env = CollisionVectorEnv(2, length=20)
    obs, info = env.reset(seed=0)
    oracle, first = env.oracle(), np.ones(2, np.bool_)
    for time in range(1, 21):
        action = oracle.act(obs, first)
        first[:] = False
        if time <= 3:
            action[1] = (action[1] + 1) % 4
        obs, _, terminated, truncated, info = env.step(action)
        assert not truncated.any()
        assert terminated.tolist() == [time == 20] * 2
    assert info["final_info"]["share"].tolist() == [1.0, 0.85]
    assert info["final_info"]["success"].tolist() == [True, False]


def test_a_smaller_arena_is_in_the_middle_of_the_grid() -> None:
    env = CollisionVectorEnv(64, length=50)
    env.change(size=4, length=30)
    obs, info = env.reset(seed=0)
    seen = []
    for _ in range(29):
        seen.append(obs[:, :-1, 0, :2])
        obs, *_, info = env.step(np.zeros(64, np.int64))
        assert (info["length"] == 30).all()
    assert (np.min(seen), np.max(seen)) == (6, 9)
    assert (oracle_returns(env) == 30).all()
    with pytest.raises(ValueError, match="size=18 is impossible: give at most 16"):
        env.change(size=18)


def test_frames_show_every_particle_and_light_up_collisions() -> None:
    env = CollisionEnv(render_mode="rgb_array", size=4)
    env.reset(seed=0)
    lit, frames = [], []
    for _ in range(60):
        frame = env.render()
        assert frame is not None
        frames.append(frame)
        lit.append(bool(env._scalar_info()["rl_expire.relevant"]))
        env.step(0)
    assert {frame.shape for frame in frames} == {(8 * 16, 6 * 16, 3)}
    corners = [frame[16 : 5 * 16 : 16, 16 : 5 * 16 : 16] for frame in frames]
    # MiniGrid brightens a lit cell, its grid line at the corner included.
    assert [bool((corner > 100).any()) for corner in corners] == lit
    assert set(lit) == {True, False}
