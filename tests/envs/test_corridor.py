"""The Corridor's rules: rewards, ends, order of junctions, lengths, options."""

import tracemalloc
from typing import Any, cast

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from envs.corridor import CorridorEnv, CorridorVectorEnv
from envs.corridor import env as corridor
from envs.corridor.layout import fill_columns
from envs.corridor.oracle import CorridorOracle
from envs.minigrid_view import EAST, FORWARD, LEFT, NORTH, RIGHT, WEST


def at_junction(**options: Any) -> tuple[CorridorEnv, int]:
    """A single corridor walked to its first junction, and the turn towards the right ball."""
    env = CorridorEnv(**options)
    _, info = env.reset(seed=0)
    for _ in range(info["length"]):
        _, _, _, _, info = env.step(FORWARD)
    assert info["rl_expire.decision"]
    return env, right_turn(env)


def right_turn(env: CorridorEnv) -> int:
    """The turn towards the ball to be taken next, for an agent that faces east."""
    state = cast(CorridorVectorEnv, env.core)._state
    which = int(state.solved[0])
    same = (int(state.cues[0]) ^ int(state.sides[0])) >> which & 1 == 0
    return LEFT if same else RIGHT


def test_the_matching_ball_gives_one_and_ends_the_episode() -> None:
    env, turn = at_junction()
    env.step(turn)
    _, reward, terminated, truncated, info = env.step(FORWARD)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"]
    assert not info["rl_expire.decision"]
    assert not info["rl_expire.relevant"]


@pytest.mark.parametrize("wrong_reward", [0.0, -0.5])
def test_the_other_ball_gives_wrong_reward_and_ends_the_episode(wrong_reward: float) -> None:
    env, turn = at_junction(wrong_reward=wrong_reward)
    env.step(LEFT + RIGHT - turn)
    _, reward, terminated, truncated, info = env.step(FORWARD)
    assert (reward, terminated, truncated) == (wrong_reward, True, False)
    assert not info["success"]


def test_junctions_must_be_solved_in_order_as_doors_block_the_way() -> None:
    env, turn = at_junction(num_cues=3, min_length=6, max_length=6)
    total = 0.0
    for junction in range(3):
        before = env.core.observe()
        obs, *_ = env.step(FORWARD)
        np.testing.assert_array_equal(obs, before[0], "a closed door, or the end wall, blocks")
        turn = right_turn(env)
        env.step(turn)
        _, reward, terminated, _, info = env.step(FORWARD)
        total += reward
        assert reward == 1.0
        assert terminated == info["success"] == (junction == 2)
        if not terminated:
            _, reward, terminated, _, _ = env.step(FORWARD)
            assert (reward, terminated) == (0.0, False), "a solved junction's alcove is a wall"
            env.step(LEFT + RIGHT - turn)
            env.step(FORWARD)
            _, _, _, _, info = env.step(FORWARD)
            assert info["rl_expire.decision"]
    assert total == 3.0


def test_cues_distractors_and_walls_block() -> None:
    env = CorridorEnv(min_length=60, max_length=60, distractors=1.0, walkway=False)
    env.reset(seed=0)
    state = cast(CorridorVectorEnv, env.core)._state
    for x in range(9):
        for turn in (LEFT, RIGHT):
            env.step(turn)
            _, reward, terminated, _, _ = env.step(FORWARD)
            assert (int(state.x[0]), reward, terminated) == (x, 0.0, False)
            env.step(LEFT + RIGHT - turn)
        env.step(FORWARD)
    assert state.direction[0] == EAST


@pytest.mark.parametrize("distractors", [0.0, 0.5])
def test_observations_on_the_walkway_do_not_depend_on_actions(distractors: float) -> None:
    """Otherwise an agent could leave notes there instead of remembering."""
    length = 12
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(8):
        env = CorridorEnv(min_length=length, max_length=length, distractors=distractors)
        obs, info = env.reset(seed=0)
        views = [obs]
        for step in range(1, length + 1):
            obs, reward, terminated, _, info = env.step(int(rng.integers(3)))
            views.append(obs)
            assert (reward, terminated, info["rl_expire.decision"]) == (0.0, False, step == length)
            assert info["rl_expire.choice"] == (step == length)
        seen.append(np.stack(views))
    for views in seen[1:]:
        np.testing.assert_array_equal(views, seen[0])


def test_the_agent_cannot_go_back_onto_the_walkway() -> None:
    env, _ = at_junction(min_length=5, max_length=5, num_cues=2)
    state = cast(CorridorVectorEnv, env.core)._state
    for action in (LEFT, LEFT, FORWARD, FORWARD):
        env.step(action)
    assert (state.x[0], state.direction[0]) == (5, WEST)


def test_without_the_walkway_the_agent_walks_and_turns_by_itself() -> None:
    env = CorridorEnv(min_length=9, max_length=9, walkway=False)
    env.reset(seed=0)
    state = cast(CorridorVectorEnv, env.core)._state
    for action in (FORWARD, FORWARD, FORWARD, LEFT, LEFT, FORWARD):
        *_, info = env.step(action)
        assert info["rl_expire.choice"]
    assert (state.x[0], state.direction[0]) == (2, WEST)


@pytest.mark.parametrize(("length", "cues", "limit"), [(3, 1, 29), (10, 1, 50), (10, 3, 62)])
def test_truncation_comes_exactly_at_the_limit(length: int, cues: int, limit: int) -> None:
    options: dict[str, Any] = {"min_length": length, "max_length": length, "num_cues": cues}
    if cues > 1:
        options["min_length"] = max(length, cues + 1)
    env = CorridorVectorEnv(2, **options)
    _, info = env.reset(seed=0)
    for _ in range(2):  # the second episode counts from its own start
        for step in range(1, limit + 1):
            _, _, terminated, truncated, info = env.step(np.full(2, LEFT))
            assert not terminated.any()
            assert truncated.all() == truncated.any() == (step == limit)
        assert not info["final_info"]["success"].any()


def test_a_choice_on_the_last_step_terminates_instead_of_truncating() -> None:
    env, turn = at_junction(min_length=3, max_length=3)
    for _ in range(29 - 3 - 2):
        env.step(FORWARD)
    env.step(turn)
    _, _, terminated, truncated, _ = env.step(FORWARD)
    assert (terminated, truncated) == (True, False)


def test_autoreset_returns_the_new_start_and_keeps_the_last_observation() -> None:
    env = CorridorVectorEnv(1, min_length=5, max_length=5)
    before, _ = env.reset(seed=0)
    for action in [FORWARD] * 5 + [LEFT]:
        before = env.step(np.array([action]))[0]
    obs, _, terminated, _, info = env.step(np.array([FORWARD]))
    assert terminated[0]
    single = CorridorEnv(min_length=5, max_length=5)
    single.reset(seed=0)
    np.testing.assert_array_equal(obs[0], single.reset()[0])
    if not info["final_info"]["success"][0]:
        np.testing.assert_array_equal(info["final_obs"], before)
        assert info["final_info"]["rl_expire.decision"][0]
    assert info["final_info"]["length"][0] == 5
    assert info["rl_expire.relevant"][0]
    assert not info["success"][0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_cues": 2, "view_size": 3},
        {"num_cues": 3, "distractors": 0.5},
        {"num_cues": 4, "distractors": 1.0, "view_size": 3},
        {"num_cues": 2, "distractors": 1.0, "walkway": False},
    ],
    ids=str,
)
def test_the_oracle_solves_every_junction(options: dict[str, Any]) -> None:
    cues = options.get("num_cues", 1)
    env = CorridorVectorEnv(64, min_length=cues + 1, max_length=30, **options)
    oracle = env.oracle()
    obs, _ = env.reset(seed=0)
    first = np.ones(64, np.bool_)
    total = np.zeros(64)
    finished = 0
    for _ in range(150):
        obs, reward, terminated, truncated, _ = env.step(oracle.act(obs, first))
        first = terminated | truncated
        total += reward
        assert (total[first] == cues).all()
        total[first] = 0.0
        finished += int(first.sum())
    assert finished > 100


def test_guessing_succeeds_half_the_time() -> None:
    env = CorridorVectorEnv(2000, min_length=3, max_length=3)
    env.reset(seed=0)
    for action in [FORWARD] * 3 + [LEFT]:
        env.step(np.full(2000, action))
    *_, info = env.step(np.full(2000, FORWARD))
    assert info["_final_info"].all()
    assert info["final_info"]["success"].mean() == pytest.approx(0.5, abs=0.05)


def test_lengths_are_uniform_over_the_whole_range() -> None:
    env = CorridorVectorEnv(20_000, min_length=3, max_length=12)
    _, info = env.reset(seed=0)
    counts = np.bincount(info["length"], minlength=13)
    assert counts[:3].sum() == 0
    assert np.abs(counts[3:] - 2000).max() < 250


def test_a_larger_max_length_takes_effect_at_the_next_episode() -> None:
    env = CorridorVectorEnv(64, min_length=3, max_length=3)
    _, info = env.reset(seed=0)
    env.change(max_length=50)
    before, *_, info = env.step(np.full(64, FORWARD))
    assert (info["length"] == 3).all()
    _, info = env.reset()
    assert info["length"].max() > 30
    assert before.shape == env.observation_space.shape


def test_memory_and_cells_computed_per_step_do_not_grow_with_the_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells: list[int] = []

    def counting_fill(*args: Any) -> None:
        cells.append(args[2].size)
        fill_columns(*args)

    monkeypatch.setattr(corridor, "fill_columns", counting_fill)

    def cost(length: int) -> tuple[int, list[int]]:
        cells.clear()
        tracemalloc.start()
        env = CorridorVectorEnv(64, min_length=length, max_length=length, distractors=0.5)
        env.reset(seed=0)
        for _ in range(100):
            env.step(np.full(64, FORWARD))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, cells.copy()

    (short_memory, short_cells), (long_memory, long_cells) = cost(500), cost(50_000)
    assert long_memory < 1.2 * short_memory
    assert long_cells == short_cells == [64 * 5] * 101


def test_the_agent_walks_tens_of_thousands_of_columns() -> None:
    env = CorridorVectorEnv(1, min_length=50_000, max_length=50_000)
    env.reset(seed=0)
    env._state.x[:] = 49_999
    *_, info = env.step(np.array([FORWARD]))
    assert info["rl_expire.decision"][0]
    assert not info["rl_expire.relevant"][0]


def test_changed_options_are_checked_together_and_all_kept_if_one_is_refused() -> None:
    env = CorridorVectorEnv(2, min_length=5, max_length=10)
    with pytest.raises(ValueError, match="max_length=4"):
        env.change(max_length=4)
    with pytest.raises(ValueError, match="max_length=10 is below min_length=11"):
        env.change(min_length=11, num_cues=2)
    with pytest.raises(TypeError, match="view_size"):
        env.change(view_size=3)
    assert (env.options.min_length, env.options.max_length, env.options.num_cues) == (5, 10, 1)
    env.change(min_length=11, max_length=12, num_cues=9)
    assert (env.options.min_length, env.options.max_length, env.options.num_cues) == (11, 12, 9)


def test_more_cues_take_effect_at_the_next_episode() -> None:
    env = CorridorVectorEnv(64, min_length=5, max_length=5)
    env.reset(seed=0)
    env.change(num_cues=3)
    oracles = [CorridorOracle(64, cues) for cues in (1, 3)]
    for steps, oracle in zip((5 + 2, 5 + 2 + 2 * 5), oracles, strict=True):
        obs, first = env.observe(), np.ones(64, np.bool_)
        for _ in range(steps - 1):
            obs, _, terminated, _, _ = env.step(oracle.act(obs, first))
            first = np.zeros(64, np.bool_)
            assert not terminated.any()
        _, reward, terminated, _, info = env.step(oracle.act(obs, first))
        assert terminated.all()
        assert info["final_info"]["success"].all()
        assert (reward == 1.0).all()


def test_a_finished_episode_must_be_reset() -> None:
    env, turn = at_junction()
    env.step(turn)
    env.step(FORWARD)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(FORWARD)


def test_directions_are_minigrids() -> None:
    env = CorridorEnv(walkway=False)
    env.reset(seed=0)
    env.step(LEFT)
    assert cast(CorridorVectorEnv, env.core)._state.direction[0] == NORTH
