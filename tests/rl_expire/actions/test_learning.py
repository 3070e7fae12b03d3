"""Every agent acts and learns in every kind of action space, with and without a mask."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import AGENT_CONFIGS, make_agent
from rl_expire.actions import ActionDistribution, ActionLayout
from rl_expire.learning.actor import Actor
from rl_expire.learning.batch_info import read_action_mask
from rl_expire.learning.forgetting import Forgetting, ForgettingConfig
from rl_expire.learning.impala import impala_update
from rl_expire.learning.ppo import PPOConfig, ppo_update
from rl_expire.learning.rollout import collect
from rl_expire.retention.action_bars import bar_names, bars, change, taken
from rl_expire.retention.record import trace_episode
from rl_expire.retention.video import write_video
from rl_expire.types import TimeStep
from rl_expire.vector.faults import EnvFaultError
from rl_expire.vector.make import EnvConfig, make_envs
from tests.acting import ACTION_SPACES, ActingEnv
from tests.support import stirred

every_space = pytest.mark.parametrize("space", ACTION_SPACES)


def make_actor(name: str, space: str, *, masked: bool = False) -> Actor[Any]:
    envs = SyncVectorEnv(
        [lambda: ActingEnv(space, masked)] * 4, autoreset_mode=AutoresetMode.SAME_STEP
    )
    torch.manual_seed(0)
    config = AGENT_CONFIGS[name](width=16, layers=2)
    agent = make_agent(envs.single_observation_space, envs.single_action_space, config)
    return Actor(envs, stirred(agent), torch.device("cpu"), seed=3)


@pytest.mark.parametrize(
    ("name", "space", "masked"),
    [
        *(("expire-span", space, False) for space in ACTION_SPACES),
        *((name, "nested", False) for name in AGENT_CONFIGS),
        *((name, "MultiDiscrete", True) for name in AGENT_CONFIGS),
    ],
)
def test_act_equals_unroll(name: str, space: str, masked: bool) -> None:
    actor = make_actor(name, space, masked=masked)
    collect(actor, 7)
    rollout = collect(actor, 9)
    with torch.no_grad():
        output = actor.agent.unroll(rollout.acted_on, rollout.memory)
    torch.testing.assert_close(output.logits, rollout.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.value, rollout.value, atol=1e-5, rtol=1e-5)
    assert rollout.logits.std() > 0.01
    assert (rollout.steps.action_mask is not None) == masked


@pytest.mark.parametrize(
    ("name", "space", "learn"),
    [
        *(("expire-span", space, ppo_update) for space in ACTION_SPACES),
        *(("lstm", space, impala_update) for space in ACTION_SPACES),
    ],
)
def test_learning(name: str, space: str, learn: Any) -> None:
    actor = make_actor(name, space)
    agent: Any = actor.agent
    spans = [torch.nn.Parameter(torch.zeros(1)), *agent.span_parameters()]
    of_spans = {id(p) for p in spans}
    forgetting = None
    if len(spans) > 1:
        forgetting = Forgetting(
            agent, torch.optim.SGD(spans[1:], 0.1), ForgettingConfig(), alpha=0.1
        )
    optimizer = torch.optim.Adam([p for p in agent.parameters() if id(p) not in of_spans], 1e-3)
    before = [p.detach().clone() for p in agent.heads.parameters()]
    report: dict[str, float] = {}
    for _ in range(2):
        rollout = collect(actor, 8)
        report = learn(
            agent,
            optimizer,
            rollout,
            PPOConfig(minibatches=2),
            entropy_cost=0.01,
            forgetting=forgetting,
        )
    assert all(np.isfinite(report[key]) for key in ("policy_loss", "entropy", "approx_kl"))
    assert any(not torch.equal(p, q) for p, q in zip(before, agent.heads.parameters(), strict=True))


@every_space
def test_a_trace_and_its_video(space: str, tmp_path: Path) -> None:
    env = gym.make("ActingEnv-v0", space=space, render_mode="rgb_array")
    for name in ("expire-span", "lstm"):
        config = AGENT_CONFIGS[name](width=16)
        agent = make_agent(env.observation_space, env.action_space, config)
        trace = trace_episode(agent, env, seed=0, greedy=False)
        assert len(trace.steps) == 5
        assert len(trace.action_names) == len(trace.steps[0].policy)
        assert all(0 <= p <= 1 for step in trace.steps for p in step.policy)
        if trace.importance is not None:
            assert all(
                ((shares >= 0) & (shares <= 1 + 1e-5)).all() for shares in trace.importance.shares
            )
        write_video([trace], tmp_path / f"{name}.mp4")


def test_bars_are_named_by_their_place_in_the_space() -> None:
    names = bar_names(ActionLayout(ACTION_SPACES["nested"]))
    assert names[:3] == ["hand.0 = 4", "hand.0 = 5", "hand.0 = 6"]
    assert names[3:5] == ["hand.1[0, 0] = 0", "hand.1[0, 0] = 1"]
    assert names[11:13] == ["walk[0, 0] = 1", "walk[0, 0] = 2"]
    assert names[13] == "walk[0, 1] = -1"
    assert names[18:] == ["arm[0]", "arm[1]", "force"]
    assert bar_names(ActionLayout(ACTION_SPACES["Box"])) == ["action"]
    assert bar_names(ActionLayout(ACTION_SPACES["Discrete"])) == [f"action {n}" for n in range(4)]


def test_bars_of_an_action_and_how_far_policies_are_apart() -> None:
    actions = ActionDistribution(ACTION_SPACES["Tuple"])  # two categories, one number
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, np.log(3.0), np.arctanh(0.5), 0.0]])
    heights = bars(actions, logits)
    np.testing.assert_allclose(heights, [[0.5, 0.5, 0.5], [0.25, 0.75, 0.75]], rtol=1e-6)
    assert taken(actions.layout, torch.tensor([1.0, 0.3])) == (1, 2)
    np.testing.assert_allclose(change(actions.layout, heights[0], heights[1]), 0.25)


def test_checkpoints_hold_a_mask_where_there_is_one() -> None:
    masked = make_actor("lstm", "MultiDiscrete", masked=True)
    plain = make_actor("lstm", "MultiDiscrete")
    state = masked.state_dict()
    assert masked.step.action_mask is not None
    assert torch.equal(state["step"]["action_mask"], masked.step.action_mask)
    assert "action_mask" not in plain.state_dict()["step"]
    for actor in (masked, plain):
        for other in (masked.state_dict(), plain.state_dict()):
            actor.load_state_dict(other)
    state["step"]["action_mask"] = torch.ones(4, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="actor/step/action_mask"):
        masked.load_state_dict(state)


def test_steps_without_a_mask_among_others_allow_everything() -> None:
    one = make_actor("lstm", "MultiDiscrete", masked=True).step
    stacked = TimeStep.stack([replace(one, action_mask=None), one]).action_mask
    assert stacked is not None
    assert stacked[0].all()
    assert not stacked[1].all()


def test_masks_are_read_from_info_and_observations() -> None:
    mask = np.array([[1, 0, 1], [0, 1, 1]], np.int8)
    expected = mask.astype(bool).tolist()

    def read(obs: Any, info: dict[str, Any]) -> Any:
        found = read_action_mask(obs, info, np.zeros(2, bool), 3)
        return None if found is None else found.tolist()

    assert read(np.zeros((2, 4)), {}) is None
    assert read(np.zeros((2, 4)), {"action_mask": mask}) == expected
    assert read({"action_mask": mask, "see": np.zeros((2, 4))}, {}) == expected
    missing = {"action_mask": mask, "_action_mask": np.array([True, False])}
    assert read(np.zeros((2, 4)), missing) == [expected[0], [True] * 3]
    nothing = {"action_mask": np.array([[1, 0, 1], [0, 0, 0]])}
    over = read_action_mask(None, nothing, np.array([False, True]), 3)
    assert over is not None
    assert over.tolist() == [expected[0], [True] * 3], "its next step only resets it"


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.ones((2, 4)), r"action_mask of 2 environments has shape \(2, 4\), not \(2, 3\)"),
        (np.array([[1, 1, 1], [0, 0, 0]]), "environment 1: action_mask allows no action"),
        (np.array([None, None]), "not"),
    ],
)
def test_wrong_masks_are_refused_in_one_line(mask: np.ndarray, reason: str) -> None:
    with pytest.raises(EnvFaultError, match=reason) as error:
        read_action_mask(None, {"action_mask": mask}, np.zeros(2, bool), 3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_taxi_is_masked(mode: Any) -> None:
    envs = make_envs("Taxi-v4", 4, {}, EnvConfig(vectorization=mode))
    config = AGENT_CONFIGS["lstm"](width=16)
    agent = make_agent(envs.single_observation_space, envs.single_action_space, config)
    actor = Actor(envs, agent, torch.device("cpu"), seed=0)
    rollout = collect(actor, 220)  # episodes are truncated after 200 steps
    mask = rollout.steps.action_mask
    assert mask is not None
    assert rollout.truncated.any()
    assert not mask.all(-1).any()
    assert mask[:-1].gather(-1, rollout.action.unsqueeze(-1)).all()
    assert (rollout.logits.softmax(-1)[~mask[:-1]] == 0).all()
    envs.close()
