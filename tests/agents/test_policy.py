"""A policy in use acts as the agent does in the library's own loop, and refuses to be misused."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

import envs as _envs  # noqa: F401  (registers the environments)
from agents import AGENT_CONFIGS, make_agent
from agents.policy import Policy, PolicyError, load_policy
from agents.pretrained import check_spaces
from rl_expire.learning.actor import Actor
from rl_expire.runs.checkpoint import save_weights
from rl_expire.runs.json_file import write_json
from rl_expire.runs.policy import WEIGHTS
from rl_expire.runs.run_folder import CONFIG
from rl_expire.vector.make import make_envs
from rl_expire.vector.stored_spaces import SPACES, spaces_entry
from tests.acting import ACTION_SPACES
from tests.support import SPACES as OBSERVATION_SPACES
from tests.support import stirred

CORRIDOR = "RLExpire/Corridor-v0"
MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]


def make_batch(mode: AutoresetMode, rows: int = 3) -> Any:
    kwargs = {"autoreset_mode": mode}
    return gym.make_vec(CORRIDOR, rows, "sync", vector_kwargs=kwargs, max_length=6)


def make_trained(env: Any, name: str = "expire-span") -> Any:
    torch.manual_seed(1)
    single = isinstance(env, gym.Env)
    observations = env.observation_space if single else env.single_observation_space
    actions = env.action_space if single else env.single_action_space
    return stirred(make_agent(observations, actions, AGENT_CONFIGS[name](width=16)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_a_batch_is_played_as_an_actor_plays_it(name: str, mode: AutoresetMode) -> None:
    agent = make_trained(make_batch(mode), name)
    actor = Actor(make_batch(mode), agent, torch.device("cpu"), seed=5)
    played = make_batch(mode)
    policy = Policy(agent, played)
    obs, info = played.reset(seed=5)
    ended = 0
    for _ in range(60):
        action = policy.act(obs, info)
        output = actor.act(greedy=True)
        assert action.tolist() == output.action.tolist()
        transition = actor.advance(output.action)
        obs, reward, terminated, truncated, info = played.step(action)
        policy.observe(reward, terminated, truncated)
        ended += int((transition.terminated | transition.truncated).sum())
    assert ended > 0


def test_one_environment_is_played_as_a_batch_of_one() -> None:
    agent = make_trained(make_batch(AutoresetMode.SAME_STEP))
    actor = Actor(make_batch(AutoresetMode.SAME_STEP, 1), agent, torch.device("cpu"), seed=5)
    env = gym.make(CORRIDOR, max_length=6)
    policy = Policy(agent, env)
    obs, _ = env.reset(seed=5)
    ended = False
    while not ended:
        output = actor.act(greedy=True)
        action = policy.act(obs)
        assert action == int(output.action[0])
        actor.advance(output.action)
        obs, reward, terminated, truncated, _ = env.step(action)
        policy.observe(reward, terminated, truncated)
        ended = terminated or truncated
    assert all(int(view.held.sum()) > 1 for view in policy.memory_view())
    policy.reset()
    env.reset(seed=6)
    policy.act(obs)
    assert [int(view.held.sum()) for view in policy.memory_view()] == [1]


@pytest.mark.parametrize("space", ACTION_SPACES)
def test_actions_have_the_structure_of_the_space(space: str) -> None:
    env = gym.make("ActingEnv-v0", space=space, disable_env_checker=True)
    policy = Policy(make_trained(env, "lstm"), env, greedy=False)
    obs, _ = env.reset(seed=0)
    assert policy.act(obs) in env.action_space


def test_masks_and_texts_are_read() -> None:
    taxi = gym.make("Taxi-v4")
    policy = Policy(make_trained(taxi, "lstm"), taxi, greedy=False)
    obs, info = taxi.reset(seed=0)
    for _ in range(30):
        action = policy.act(obs, info)
        assert info["action_mask"][action]
        obs, reward, terminated, truncated, info = taxi.step(action)
        policy.observe(reward, terminated, truncated)
    babyai = gym.make("BabyAI-GoToObj-v0")
    shown = Policy(make_trained(make_batch(AutoresetMode.SAME_STEP)), babyai).space
    assert isinstance(shown, gym.spaces.Dict)
    policy = Policy(
        stirred(make_agent(shown, babyai.action_space, AGENT_CONFIGS["lstm"](width=16))), babyai
    )
    obs, info = babyai.reset(seed=0)
    assert policy.act(obs, info) in babyai.action_space


def test_a_folder_is_loaded_for_an_environment(tmp_path: Path) -> None:
    env = gym.make(CORRIDOR)
    agent = make_trained(env)
    export(tmp_path, agent, {})
    policy = load_policy(tmp_path, env)
    obs, _ = env.reset(seed=0)
    assert policy.act(obs) in (0, 1, 2)
    with pytest.raises(ValueError, match="does not fit"):
        load_policy(tmp_path, gym.make("CartPole-v1"))


def export(folder: Path, agent: Any, config: dict[str, Any]) -> None:
    """Write what `rl-expire export` does."""
    name = next(n for n, c in AGENT_CONFIGS.items() if isinstance(agent.config, c))
    save_weights(agent.state_dict(), folder / WEIGHTS)
    write_json(folder / CONFIG, {"agent": {"name": name, "options": vars(agent.config)}} | config)


ENVS: dict[str, dict[str, Any]] = {
    CORRIDOR: {"max_length": 6},
    "BabyAI-GoToObj-v0": {},
    "ActingEnv-v0": {"space": "nested", "disable_env_checker": True},
}


@pytest.mark.parametrize("env_id", ENVS)
def test_a_policy_needs_no_environment(
    env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = make_envs(env_id, 1, ENVS[env_id])
    agent = make_trained(vector)
    export(tmp_path, agent, {SPACES: vector.metadata[SPACES]})
    env = gym.make(env_id, **ENVS[env_id])
    with_env = load_policy(tmp_path, env)
    for name in list(gym.registry):  # nothing is installed
        monkeypatch.delitem(gym.registry, name)
    without = load_policy(tmp_path)
    assert without.space == with_env.space
    obs, info = env.reset(seed=5)
    for _ in range(20):
        action = without.act(obs, info)
        np.testing.assert_equal(action, with_env.act(obs, info))
        obs, reward, terminated, truncated, info = env.step(action)
        without.observe(reward, terminated, truncated)
        with_env.observe(reward, terminated, truncated)
        if terminated or truncated:
            obs, info = env.reset()


def test_without_stored_spaces_one_line_says_what_to_do(tmp_path: Path) -> None:
    env = gym.make(CORRIDOR)
    agent = make_trained(env)
    entry = spaces_entry(env.observation_space, env.action_space)[SPACES]
    for config, message in (
        ({}, r"holds no spaces, .* give the environment, as load_policy\(source, env\), or export"),
        ({SPACES: 3}, "its entry spaces is damaged"),
        ({SPACES: entry | {"observation": {"type": "Discrete"}}}, "it describes no space"),
        ({SPACES: entry | {"cells": ["nowhere"], "constant": 3}}, "damaged"),
        ({SPACES: entry | {"action": {"type": "Text"}}}, "not supported"),
        ({SPACES: entry | {"observation": entry["action"]}}, "does not fit"),
    ):
        export(tmp_path, agent, config)
        with pytest.raises(ValueError, match=message) as error:
            load_policy(tmp_path)
        assert str(tmp_path) in str(error.value)
        assert "\n" not in str(error.value)


def test_spaces_that_need_more_weights_than_there_are_cost_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(gym.spaces.Discrete(3), gym.spaces.Discrete(3), AGENT_CONFIGS["lstm"]())
    large = spaces_entry(gym.spaces.Discrete(2**20), gym.spaces.Discrete(3))
    export(tmp_path, agent, large)
    monkeypatch.setattr("agents.pretrained.set_weights", lambda *_: pytest.fail("it was built"))
    with pytest.raises(ValueError, match="too few for the 67,"):
        load_policy(tmp_path)


IMAGE = gym.spaces.Box(0, 255, (48, 64, 3), np.uint8)
GRID = gym.spaces.MultiDiscrete(np.array([[2, 300], [2, 2]]))


@pytest.mark.parametrize("name", ["expire-span", "lstm"])
def test_spaces_of_every_kind_need_no_more_weights_than_an_agent_has(name: str) -> None:
    config = AGENT_CONFIGS[name](width=16, last_action=False)
    for space in (*OBSERVATION_SPACES.values(), IMAGE, GRID, gym.spaces.MultiBinary(4)):
        for actions in ACTION_SPACES.values():
            weights = make_agent(space, actions, config).state_dict()
            check_spaces(space, actions, config, weights)


def test_misuse_is_an_error_of_one_line() -> None:
    batch = make_batch(AutoresetMode.SAME_STEP)
    policy = Policy(make_trained(batch), batch)
    obs, info = batch.reset(seed=0)
    yes = np.ones(3, bool)

    def fails(message: str, function: Any, *args: Any) -> None:
        with pytest.raises(PolicyError, match=message) as error:
            function(*args)
        assert "\n" not in str(error.value)

    fails("without an act before it", policy.observe, np.zeros(3), yes, yes)
    fails(r"shape \(5, 5, 3\) in a batch of 2, not \(5, 5, 3\) in one of 3", policy.act, obs[:2])
    fails(r"shape \(4, 5, 3\)", policy.act, obs[:, 1:])
    fails("has type float64, not uint8", policy.act, obs.astype(float))
    policy.act(obs, info)
    fails("act was called twice in a row", policy.act, obs, info)
    fails("sizes 3, 3, 1, not 3 each", policy.observe, np.zeros(3), yes, False)
    policy.observe(np.zeros(3), yes, ~yes)
    policy.act(obs, info)
    disabled = make_batch(AutoresetMode.DISABLED)
    fails("autoreset disabled", Policy, make_trained(disabled), disabled)
