"""Importance is how much the policy changes when an observation is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from agents import LSTMConfig, MemorylessConfig, make_agent
from envs.corridor.env import CorridorEnv
from rl_expire.retention import importance as module
from rl_expire.retention.importance import measure_importance, typical_obs
from rl_expire.retention.record import trace_episode
from rl_expire.retention.trace import Trace
from rl_expire.types import ActorOutput, TimeStep
from tests.support import expire_agent, stirred

SEED = 3


class Recording(nn.Module):
    """An agent that keeps the steps it was shown in batches of 1: the original episode."""

    def __init__(self, agent: nn.Module):
        super().__init__()
        self.agent, self.shown = agent, []

    def act(self, step: TimeStep, memory: Any, *, greedy: bool = False) -> tuple[ActorOutput, Any]:
        if len(step.is_first) == 1:
            self.shown.append(step)
        return self.agent.act(step, memory, greedy=greedy)  # pyright: ignore[reportCallIssue]

    def __getattr__(self, name: str) -> Any:
        if name in ("initial_memory", "view", "actions"):
            return getattr(self.agent, name)
        return super().__getattr__(name)


def played(config: Any) -> tuple[Trace, Any, list[TimeStep]]:
    """Return the trace of an episode, the agent, and the steps it was shown."""
    env = CorridorEnv(max_length=12, render_mode="rgb_array")
    torch.manual_seed(0)
    agent = stirred(make_agent(env.observation_space, env.action_space, config))
    recording = Recording(agent)
    trace = trace_episode(recording, env, seed=SEED, greedy=False)  # pyright: ignore[reportArgumentType]
    return trace, agent, recording.shown[: len(trace.steps)]


@pytest.mark.parametrize("most", [4, 256])
def test_importance_is_the_policy_change_when_steps_are_hidden(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OCCLUSIONS", most)
    trace, agent, shown = played(LSTMConfig(width=16, layers=2))
    length, importance = len(trace.steps), trace.importance
    assert length > 10
    assert importance is not None
    assert importance.every == -(-length // most)
    typical: Any = typical_obs(shown)
    largest = 0.0
    for start in range(0, length, importance.every):
        steps = TimeStep.stack(shown)
        obs: Any = steps.obs
        obs[start : start + importance.every] = typical
        with torch.no_grad():
            logits = agent.unroll(steps, agent.initial_memory(1)).logits[:, 0]
        for t in range(start, length):
            policy = torch.as_tensor(trace.steps[t].policy)
            moved = float((logits[t].softmax(-1) - policy).abs().sum() / 2)
            assert importance.shares[t][start // importance.every] == pytest.approx(moved, abs=1e-5)
            assert importance.at(t)[start] == importance.shares[t][start // importance.every]
            largest = max(largest, moved)
    assert largest > 0.05, "nothing was important"
    assert [len(importance.at(t)) for t in range(length)] == list(range(1, length + 1))


def test_for_a_memoryless_agent_only_the_current_observation_is_important() -> None:
    trace, _, _ = played(MemorylessConfig(width=16))
    assert trace.importance is not None
    assert all(step.layers == () for step in trace.steps)
    shares = [trace.importance.at(t) for t in range(len(trace.steps))]
    assert max(float(share[:-1].max(initial=0)) for share in shares) < 1e-5
    assert max(float(share[-1]) for share in shares) > 0.01


def test_an_agent_with_memories_has_no_importance() -> None:
    env = CorridorEnv(max_length=12, render_mode="rgb_array")
    trace = trace_episode(expire_agent(env.observation_space), env, seed=SEED)
    assert trace.importance is None
    assert trace.steps[0].layers


def test_measuring_again_gives_the_same_and_changes_no_observation() -> None:
    trace, agent, shown = played(LSTMConfig(width=16))
    policies = [step.policy for step in trace.steps]
    before = [step.obs.clone() for step in shown if isinstance(step.obs, torch.Tensor)]
    again = measure_importance(agent, shown, policies)
    assert trace.importance is not None
    for one, other in zip(again.shares, trace.importance.shares, strict=True):
        np.testing.assert_array_equal(one, other)
    for step, obs in zip(shown, before, strict=True):
        assert isinstance(step.obs, torch.Tensor)
        assert torch.equal(step.obs, obs)


def test_the_typical_observation_is_the_most_frequent_or_the_mean_of_floats_by_part() -> None:
    def step(whole: list[int], real: float) -> TimeStep:
        obs: Any = {"whole": torch.tensor([whole]), "real": torch.tensor([[real]])}
        zero = torch.zeros(1)
        return TimeStep(obs, zero.bool(), zero.long(), zero)

    steps = [step([1, 2], 0.0), step([3, 4], 1.0), step([1, 4], 2.0), step([3, 4], 5.0)]
    typical = typical_obs(steps)
    assert isinstance(typical, dict)
    assert typical["whole"].tolist() == [3, 4]
    assert typical["real"].tolist() == [2.0]
    whole = [TimeStep(s.obs["whole"], s.is_first, s.last_action, s.last_reward) for s in steps]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert torch.equal(typical_obs(whole), typical["whole"])  # pyright: ignore[reportArgumentType]
