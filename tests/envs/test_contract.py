"""The contract of every registered environment; new ids are covered as soon as they register."""

import warnings
from typing import Any, cast

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import envs  # noqa: F401 (registers the ids)
from envs.array_env import ArrayVectorEnv, SingleView
from tests.envs.play import oracle_returns

IDS = sorted(name for name in gymnasium.registry if name.startswith("RLExpire/"))
N = 4
SHORT: dict[str, dict[str, Any]] = {
    "RLExpire/Corridor-v0": {"max_length": 20},
    "RLExpire/Portal-v0": {"rooms": 4},
    "RLExpire/Instruction-v0": {"max_distance": 50},
    "RLExpire/Collision-v0": {"length": 30},
    "RLExpire/TMaze-v0": {"max_length": 20},
}
"""Options for short episodes, where a test needs many of them."""

pytestmark = pytest.mark.parametrize("env_id", IDS)


def make_batch(env_id: str, num_envs: int = N, **options: Any) -> ArrayVectorEnv:
    env = gymnasium.make_vec(env_id, num_envs, "vector_entry_point", **options)
    return cast(ArrayVectorEnv, env)


def make_single(env_id: str, **options: Any) -> SingleView:
    return cast(SingleView, gymnasium.make(env_id, **options).unwrapped)


def random_actions(env: ArrayVectorEnv, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, env.num_actions, (steps, env.num_envs))


def test_check_env_is_clean(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make(env_id).unwrapped)
    assert not [w for w in caught if issubclass(w.category, UserWarning)]


def test_the_prefix_registers_the_single_and_the_vector_environment(env_id: str) -> None:
    single = gymnasium.make(f"envs:{env_id}")
    batch = gymnasium.make_vec(
        f"envs:{env_id}", num_envs=3, vectorization_mode="vector_entry_point"
    )
    assert isinstance(single.unwrapped, SingleView)
    assert isinstance(batch, ArrayVectorEnv)
    assert batch.single_observation_space == single.observation_space
    assert batch.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_observations_rewards_and_info_have_the_declared_spaces_and_types(env_id: str) -> None:
    env = make_batch(env_id)
    obs, info = env.reset(seed=0)
    assert obs in env.observation_space
    for action in random_actions(env, 50):
        obs, reward, terminated, truncated, info = env.step(action)
        assert obs in env.observation_space
        assert (reward.dtype, reward.shape) == (np.float64, (N,))
        assert terminated.dtype == truncated.dtype == np.bool_
        assert not (terminated & truncated).any()
        for key in ("rl_expire.relevant", "success"):
            assert (info[key].dtype, info[key].shape) == (np.bool_, (N,))
            assert info[f"_{key}"].all()


def test_the_same_seed_gives_the_same_trajectory(env_id: str) -> None:
    options = SHORT.get(env_id, {})
    first, second = make_batch(env_id, **options), make_batch(env_id, **options)
    np.testing.assert_equal(first.reset(seed=7), second.reset(seed=7))
    for action in random_actions(first, 200):
        np.testing.assert_equal(first.step(action), second.step(action))


def test_different_seeds_and_neighbouring_rows_give_different_trajectories(env_id: str) -> None:
    env = make_batch(env_id, 16, **SHORT.get(env_id, {}))
    actions = np.repeat(random_actions(make_batch(env_id, 1), 200), 16, axis=1)
    trajectories = []
    for seed in (1, 1000):
        env.reset(seed=seed)
        trajectories.append(np.stack([env.step(action)[0] for action in actions]))
    assert (trajectories[0] != trajectories[1]).any()
    assert len({trajectories[0][:, row].tobytes() for row in range(16)}) > 8


def test_reset_without_a_seed_is_random_at_first_and_then_continues_the_stream(env_id: str) -> None:
    batches = [make_batch(env_id, 64) for _ in range(2)]
    trajectories = []
    for env in batches:
        start, _ = env.reset()
        trajectories.append([start, env.step(np.zeros(64, np.int64))[0]])
    assert (np.array(trajectories[0]) != np.array(trajectories[1])).any()
    first = [batches[0].reset(seed=3)[0], batches[0].reset()[0]]
    again = [batches[1].reset(seed=3)[0], batches[1].reset()[0]]
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()


def test_the_single_environment_equals_a_row_of_the_batch_at_every_step(env_id: str) -> None:
    options = SHORT.get(env_id, {})
    batch = make_batch(env_id, 3, **options)
    singles = [make_single(env_id, **options) for _ in range(3)]
    obs, info = batch.reset(seed=5)
    for row, single in enumerate(singles):
        single_obs, single_info = single.reset(seed=5 + row)
        np.testing.assert_array_equal(obs[row], single_obs)
        assert single_info == {key: info[key][row] for key in single_info}
    finished = 0
    for action in random_actions(batch, 200, seed=1):
        obs, reward, terminated, truncated, info = batch.step(action)
        for row, single in enumerate(singles):
            last_obs, *outcome, last_info = single.step(int(action[row]))
            assert outcome == [reward[row], terminated[row], truncated[row]]
            if terminated[row] or truncated[row]:
                finished += 1
                final = info["final_info"]
                np.testing.assert_array_equal(info["final_obs"][row], last_obs)
                assert last_info == {key: final[key][row] for key in last_info}
                last_obs, last_info = single.reset()
            np.testing.assert_array_equal(obs[row], last_obs)
            assert last_info == {key: info[key][row] for key in last_info}
    assert finished >= 6


def test_gymnasiums_vector_of_single_environments_returns_the_same(env_id: str) -> None:
    options = SHORT.get(env_id, {})
    batch = make_batch(env_id, **options)
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    sync = gymnasium.make_vec(env_id, N, "sync", vector_kwargs=mode, **options)
    np.testing.assert_equal(batch.reset(seed=2), sync.reset(seed=2))
    finished = 0
    for action in random_actions(batch, 150):
        *ours, our_info = batch.step(action)
        *theirs, their_info = sync.step(action)
        np.testing.assert_equal(ours, theirs)
        assert our_info.keys() == their_info.keys()
        if "final_info" in our_info:
            finished += 1
            ended = our_info["_final_info"]
            assert our_info["final_info"].keys() == their_info["final_info"].keys()
            for key, value in their_info["final_info"].items():
                # Where nothing ended, strings are None in theirs and empty in ours.
                rows = ended if value.dtype == object else slice(None)
                np.testing.assert_array_equal(our_info["final_info"][key][rows], value[rows])
    assert finished


def test_final_masks_mark_exactly_the_finished_environments(env_id: str) -> None:
    env = make_batch(env_id, 16, **SHORT.get(env_id, {}))
    env.reset(seed=0)
    seen = 0
    for action in random_actions(env, 150):
        _, _, terminated, truncated, info = env.step(action)
        done = terminated | truncated
        assert ("final_obs" in info) == ("final_info" in info) == done.any()
        if done.any():
            seen += int(done.sum())
            assert info["final_obs"].shape == env.observation_space.shape
            np.testing.assert_array_equal(info["_final_obs"], done)
            np.testing.assert_array_equal(info["_final_info"], done)
            np.testing.assert_array_equal(info["final_info"]["_success"], done)
            assert not info["final_obs"][~done].any()
    assert seen >= 16


def test_reset_mask_resets_only_where_it_is_true(env_id: str) -> None:
    env = make_batch(env_id)
    env.reset(seed=0)
    before = env.step(np.zeros(N, np.int64))[0]
    mask = np.array([True, False, True, False])
    obs, info = env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(obs[~mask], before[~mask])
    np.testing.assert_array_equal(info["_rl_expire.relevant"], mask)


def test_observations_are_never_overwritten_or_shared(env_id: str) -> None:
    env = make_batch(env_id)
    obs, info = env.reset(seed=0)
    kept, copies = [obs], [obs.copy()]
    for action in random_actions(env, 100):
        obs, *_, info = env.step(action)
        kept.append(obs)
        copies.append(obs.copy())
        assert not any(np.shares_memory(obs, other) for other in kept[:-1])
    assert "rl_expire.relevant" in info
    np.testing.assert_array_equal(kept, copies)


def test_the_oracle_achieves_the_expected_return(env_id: str) -> None:
    rows = 128
    env = make_batch(env_id, rows)
    total = oracle_returns(env)
    # Four standard deviations of the mean; exact where every return is the same.
    assert total.mean() == pytest.approx(env.expected_return(), abs=4 * total.std() / rows**0.5)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([0, 1, 2, 99]), "one is 99"),
        (np.array([0, -1, 0, 0]), "one is -1"),
        (np.zeros(3, np.int64), r"shape \(4,\)"),
        (np.zeros(4), "float64"),
    ],
)
def test_bad_actions_are_refused(env_id: str, actions: np.ndarray, message: str) -> None:
    env = make_batch(env_id)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(actions)


def test_a_refused_reset_changes_nothing(env_id: str) -> None:
    env, untouched = make_batch(env_id), make_batch(env_id)
    env.reset(seed=0)
    untouched.reset(seed=0)
    for bad in ([5, 6, 7, -1], [5], -2):
        with pytest.raises(ValueError, match="seed"):
            env.reset(seed=bad)
    np.testing.assert_equal(env.reset(), untouched.reset())


def test_misuse_raises_one_clear_error(env_id: str) -> None:
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        make_batch(env_id).step(np.zeros(N, np.int64))
    with pytest.raises(ValueError, match="num_envs=0"):
        make_batch(env_id, num_envs=0)
    with pytest.raises(ValueError, match="render_mode='ascii'"):
        make_batch(env_id, render_mode="ascii")
    for make in (make_single, make_batch):
        with pytest.raises(TypeError, match=r"lenght is not an option \(choose from [a-z_, ]+\)"):
            make(env_id, lenght=3)
    env = make_batch(env_id)
    with pytest.raises(TypeError, match=r"view cannot be changed: only [a-z_, ]+ can"):
        env.change(view=3)
    mask = np.array([True, False, False, False])
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset_mask"):
        env.reset(options={"reset_mask": mask})
    for wrong in (mask[:2], mask.astype(int), ~np.ones(N, np.bool_), [True] * N):
        with pytest.raises(ValueError, match="reset_mask"):
            env.reset(options={"reset_mask": wrong})
