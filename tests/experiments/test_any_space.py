"""Any observation space with any action space: trained on, or refused in one line.

ANY_SPACE_EXAMPLES=300 pytest tests/experiments/test_any_space.py
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from agents import LSTMConfig
from agents.policy import Policy
from experiments.train import AnyEnv, Train
from experiments.training.build import make_trainer
from rl_expire.export.files import export_program
from rl_expire.export.step import PolicyStep
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.trainer import TrainConfig, Trainer
from rl_expire.types import Agent
from rl_expire.vector.reading import apply_reading
from rl_expire.vector.stored_spaces import SPACES, read_spaces

EXAMPLES = int(os.environ.get("ANY_SPACE_EXAMPLES", "3"))
"""Number of pairs of spaces that are tried."""
FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


class AnySpaces(gym.Env):
    """Samples its observations; an episode has five steps."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, observation_space: gym.Space, action_space: gym.Space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Seed the samples."""
        super().reset(seed=seed)
        self.count = 0
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Check that the action belongs to the space."""
        assert self.action_space.contains(action), (self.action_space, action)
        self.count += 1
        return self.observation_space.sample(), float(self.count % 2), self.count == 5, False, {}


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    """Draw a box: numbers of any type with any bounds, or an image."""
    kind = draw(st.sampled_from(["floats", "integers", "image", "cells"]))
    if kind in ("image", "cells"):
        side, high = st.integers(1, 40), 255 if kind == "image" else 7
        shape = (draw(side), draw(side), 3 if kind == "cells" else draw(st.sampled_from([1, 3, 4])))
        return spaces.Box(0, high, shape, np.uint8)
    if kind == "floats":
        bounds = draw(st.sampled_from([(-1, 1), (0, 6e4), (-np.inf, np.inf), (0, np.inf)]))
        return spaces.Box(*bounds, draw(shapes), draw(st.sampled_from(FLOATS)))
    dtype = draw(st.sampled_from(INTEGERS))
    low, high = np.iinfo(dtype).min // 4, np.iinfo(dtype).max // 4
    return spaces.Box(low, high, draw(shapes), dtype)


@st.composite
def tokens(draw: st.DrawFn) -> gym.Space:
    """Draw a space of categories."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    sizes = draw(st.sampled_from([2, 7, 300]))
    start = draw(st.sampled_from([0, -5, 1000]))
    every = np.full(shape, sizes)
    return draw(
        st.sampled_from(
            [
                spaces.Discrete(sizes, start=start),
                spaces.MultiDiscrete(every, start=np.full(shape, start)),
                spaces.MultiBinary(shape),
                spaces.MultiBinary(3),
            ]
        )
    )


others = st.sampled_from(
    [
        spaces.Box(-1.0, 1.0, (0, 2)),
        spaces.Dict({}),
        spaces.Tuple(()),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Graph(spaces.Box(-1.0, 1.0, (2,)), None),
        spaces.OneOf([spaces.Discrete(2), spaces.Discrete(3)]),
        spaces.Discrete(2**40),
    ]
)


def nests(parts: st.SearchStrategy[gym.Space]) -> st.SearchStrategy[gym.Space]:
    """Return a strategy for `Dict` and `Tuple` of `parts`."""
    return st.one_of(
        st.dictionaries(st.text(max_size=3), parts, min_size=1, max_size=3).map(spaces.Dict),
        st.lists(parts, min_size=1, max_size=3).map(spaces.Tuple),
    )


def mostly(usual: st.SearchStrategy[gym.Space]) -> st.SearchStrategy[gym.Space]:
    """Return a strategy for nests of `usual` leaves, with one of `others` now and then."""
    leaf = st.integers(0, 30).flatmap(lambda n: others if n == 17 else usual)
    return st.recursive(leaf, nests, max_leaves=5)


continuous = st.builds(
    lambda bound, shape, dtype: spaces.Box(-bound, bound, shape, dtype),
    st.sampled_from([1.0, 50.0, np.inf]),
    shapes,
    st.sampled_from(FLOATS),
)
observations = mostly(st.one_of(boxes(), tokens(), st.just(spaces.Text(12))))
actions = mostly(st.one_of(continuous, tokens()))


def check_trained(trainer: Trainer[Any], env: gym.Env) -> None:
    """Check that an agent that was trained on `env` plays it, and can be exported."""
    assert all(p.isfinite().all() for p in trainer.agent.parameters())
    check_acting(trainer.agent, env)
    assert isinstance(trainer.actor, LocalActor)
    check_exported(trainer.agent, trainer.actor.envs.single_observation_space)
    check_stored(trainer.actor.envs)


def check_acting(agent: Agent[Any], env: gym.Env) -> None:
    """Check that the agent plays the environment, which gives it nested observations."""
    policy, over = Policy(agent, env), False
    obs, info = env.reset(seed=3)
    while not over:
        obs, reward, terminated, truncated, info = env.step(policy.act(obs, info))
        policy.observe(reward, terminated, truncated)
        over = terminated or truncated


def check_stored(envs: VectorEnv) -> None:
    """Check that the spaces are stored as they are, so that nobody needs the environment."""
    stored = read_spaces(json.loads(json.dumps({SPACES: envs.metadata[SPACES]})))
    assert stored is not None
    env, reading = stored
    assert apply_reading(env, reading).observation_space == envs.single_observation_space
    assert env.action_space == envs.single_action_space


def check_exported(agent: Agent[Any], space: gym.Space) -> None:
    """Check that one step of the agent as a graph does the same."""
    step = PolicyStep(agent, space)
    inputs = step.example(3)
    with torch.no_grad():
        expected = step(inputs)
    outputs = export_program(step).module()(inputs)
    torch.testing.assert_close(outputs, expected, atol=1e-4, rtol=1e-4)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(observed=observations, acted=actions)
def test_any_observation_and_action_space_is_trained_on_or_refused_in_one_line(
    observed: gym.Space, acted: gym.Space
) -> None:
    gym.registry.pop("AnySpaces-v0", None)
    gym.register(
        "AnySpaces-v0",
        entry_point=lambda: AnySpaces(observed, acted),  # type: ignore[arg-type]
        disable_env_checker=True,
    )
    options = Train(
        env=AnyEnv(env_id="AnySpaces-v0"),
        agent=LSTMConfig(width=8, reconstruct=1.0),
        train=TrainConfig(num_envs=2, rollout_length=4, total_steps=16),
        ppo=PPOConfig(minibatches=2, epochs=1),
    )
    torch.manual_seed(0)
    refusal, trainer = None, None
    try:
        trainer = make_trainer(options, torch.device("cpu"))
    except ValueError as error:
        refusal = str(error)
    if trainer is None:
        assert re.fullmatch(r".*(observation|action) space .* is not supported: .+", str(refusal))
        event("refused")
        return
    event("trained")
    while not trainer.finished:
        trainer.update()
    assert trainer.steps == 16
    check_trained(trainer, gym.make("AnySpaces-v0"))
    trainer.actor.close()
