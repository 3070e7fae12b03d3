"""The T-Maze's rules: what is seen, the reward for being in time, ends, the active variant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.tmaze import TMazeEnv, TMazeVectorEnv
from envs.tmaze.moves import DOWN, LEFT, RIGHT, UP
from tests.envs.play import oracle_returns

LENGTH = 6


def started(**options: Any) -> tuple[TMazeEnv, np.ndarray, dict[str, Any]]:
    """A maze of `LENGTH` columns, its first observation and info."""
    env = TMazeEnv(min_length=LENGTH, max_length=LENGTH, **options)
    return env, *env.reset(seed=0)


def play(env: TMazeEnv, actions: list[int]) -> list[tuple[list[float], float, bool]]:
    """Return observation, reward and whether the episode has ended, after each action."""
    steps = [env.step(action) for action in actions]
    assert not any(truncated for _, _, _, truncated, _ in steps)
    return [(obs.tolist(), reward, terminated) for obs, reward, terminated, _, _ in steps]


def towards(sign: float) -> int:
    """The move into the arm that the sign points to."""
    return UP if sign > 0 else DOWN


def naive(actions: list[int], goal: int, length: int, active: bool) -> list[tuple[Any, ...]]:
    """One maze cell by cell: observation, reward and end after each action."""
    start, steps = int(active), []
    end = length + start
    free = {(x, 0) for x in range(end + 1)} | {(end, 1), (end, -1)}
    x, y, seen = start, 0, not active
    for time, action in enumerate(actions, start=1):
        dx, dy = {RIGHT: (1, 0), UP: (0, 1), LEFT: (-1, 0), DOWN: (0, -1)}[action]
        if (x + dx, y + dy) in free:
            x, y = x + dx, y + dy
        obs = [1.0, y] if x == end else [0.0, goal if x == 0 and not seen else 0]
        seen = seen or x == 0
        over = time == length + 1 + 2 * start
        reward = float(y == goal) if over else (-1 / length if x < time - start else 0.0)
        steps.append((obs, reward, over))
    return steps


@pytest.mark.parametrize("active", [False, True])
def test_random_walks_agree_with_a_maze_played_cell_by_cell(active: bool) -> None:
    random, seen = np.random.default_rng(0), set()
    for episode in range(200):
        length = 1 + episode % 5
        env = TMazeEnv(min_length=length, max_length=length, active=active)
        env.reset(seed=episode)
        odds = (0.6, 0.15, 0.1, 0.15) if episode % 2 else (0.25,) * 4
        actions = random.choice(4, length + 1 + 2 * active, p=odds).tolist()
        found = play(env, actions)
        goal = int(env.core._state.goal[0])
        expected = naive(actions, goal, length, active)
        assert [(o, pytest.approx(r), e) for o, r, e in expected] == found
        seen.add(found[-1][1])
    assert seen == {0.0, 1.0}


def test_the_sign_is_shown_at_the_start_only() -> None:
    env, obs, info = started()
    sign = obs[1]
    assert abs(sign) == 1
    assert info["rl_expire.relevant"]
    steps = play(env, [RIGHT] * LENGTH + [towards(sign)])
    assert [o for o, _, _ in steps] == [[0, 0]] * (LENGTH - 1) + [[1, 0], [1, sign]]
    assert [r for _, r, _ in steps] == [0] * LENGTH + [1]
    assert [end for _, _, end in steps] == [False] * LENGTH + [True]


def test_coming_back_shows_nothing() -> None:
    env, _, _ = started()
    assert [o for o, _, _ in play(env, [RIGHT, LEFT, LEFT])] == [[0, 0]] * 3


def test_the_other_arm_returns_nothing_and_standing_still_the_penalty() -> None:
    env, obs, _ = started()
    steps = play(env, [RIGHT] * LENGTH + [towards(-obs[1])])
    assert sum(r for _, r, _ in steps) == 0
    env, _, _ = started(penalty=2.0)
    assert sum(r for _, r, _ in play(env, [LEFT] * (LENGTH + 1))) == pytest.approx(-2.0)
    env, _, _ = started(penalty=0.0)
    assert sum(r for _, r, _ in play(env, [LEFT] * (LENGTH + 1))) == 0


def test_one_step_too_late_is_never_made_up_for_and_offers_no_choice() -> None:
    env, _, info = started()
    assert info["rl_expire.choice"]
    for _ in range(2):
        *_, info = env.step(RIGHT)
        assert info["rl_expire.choice"]
    for _ in range(LENGTH - 2):
        _, reward, _, _, info = env.step(UP)
        assert reward == pytest.approx(-1 / LENGTH)
        assert not info["rl_expire.choice"]
    _, reward, terminated, _, info = env.step(RIGHT)
    assert (reward, terminated, info["success"]) == (0, True, False)


@pytest.mark.parametrize("active", [False, True])
def test_behind_schedule_no_actions_change_the_return(active: bool) -> None:
    """As `rl_expire.choice` says: the number of steps left decides it."""
    random = np.random.default_rng(1)
    for seed in range(60):
        env, *_ = started(active=active)
        _, info = env.reset(seed=seed)
        over = False
        while info["rl_expire.choice"] and not over:
            _, _, over, _, info = env.step(int(random.integers(4)))
        left, total = int(env.core._limit[0] - env.core._elapsed[0]), 0.0
        while not over:
            _, reward, over, _, info = env.step(int(random.choice(4, p=(0.7, 0.1, 0.1, 0.1))))
            total += reward
            assert not info["success"]
        assert total == pytest.approx(-max(0, left - 1) / LENGTH)


def test_an_active_agent_has_to_go_and_look() -> None:
    env, obs, info = started(active=True)
    assert obs.tolist() == [0, 0]
    assert not info["rl_expire.relevant"]
    obs, reward, _, _, info = env.step(LEFT)
    sign = obs[1]
    assert (abs(sign), reward, info["rl_expire.relevant"]) == (1, 0, True)
    steps = play(env, [RIGHT] * (LENGTH + 1) + [towards(sign)])
    assert sum(r for _, r, _ in steps) == 1
    assert steps[-1][2]


def test_a_decision_is_at_the_junction_by_an_agent_that_has_seen_the_sign() -> None:
    for active, moves, decides in ((False, "", True), (True, "L", True), (True, "", False)):
        env, *_ = started(active=active)
        info: dict[str, Any] = {}
        for action in [LEFT] * len(moves) + [RIGHT] * (LENGTH + len(moves)):
            assert not info.get("rl_expire.decision")
            *_, info = env.step(action)
        assert info["rl_expire.decision"] == decides
        *_, info = env.step(UP)
        assert not info["rl_expire.decision"]


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize("length", [1, 2, 50])
def test_the_oracle_returns_one_and_never_more_is_possible(active: bool, length: int) -> None:
    env = TMazeVectorEnv(64, min_length=length, max_length=length, active=active)
    assert (oracle_returns(env) == env.expected_return()).all()


def test_lengths_and_goals_are_uniform() -> None:
    env = TMazeVectorEnv(4000, min_length=3, max_length=7)
    obs, info = env.reset(seed=0)
    counts = np.bincount(info["length"], minlength=8)
    assert not counts[:3].any()
    assert (abs(counts[3:] - 800) < 4 * 800**0.5).all()
    assert abs(obs[:, 1].mean()) < 4 / 4000**0.5


def test_time_and_memory_do_not_depend_on_the_length() -> None:
    env = TMazeVectorEnv(2, min_length=100_000_000, max_length=100_000_000)
    env.reset(seed=0)
    for _ in range(10):
        assert not env.step(np.full(2, RIGHT))[0].any()
    assert sum(array.nbytes for array in env.state_dict().values()) < 1000


def test_the_picture_shows_sign_goal_and_agent() -> None:
    env, *_ = started(render_mode="rgb_array")
    before = env.render()
    env.step(RIGHT)
    after = env.render()
    assert before is not None
    assert after is not None
    assert before.shape == after.shape
    assert before.shape[2] == 3
    assert (before != after).any()
