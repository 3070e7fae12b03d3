"""A trace is the episode as it was played, and the agent's memory tensor by tensor."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from agents.expire_transformer import ExpireTransformer
from agents.transformer import TransformerMemory
from envs.corridor.env import CorridorEnv
from envs.instruction.env import InstructionEnv
from rl_expire.memory.expire_span import fade_bias
from rl_expire.retention.record import trace_episode
from rl_expire.retention.trace import Trace, decision_starts, kept_counts, relevant_steps
from rl_expire.types import ActorOutput, TimeStep
from tests.counting import CountingAgent, CountingEnv
from tests.support import expire_agent

SEED = 3


class Spy:
    """An agent that notes its memory and attention right after each `act`."""

    def __init__(self, agent: ExpireTransformer):
        self.agent = agent
        self.seen: list[tuple[TransformerMemory, list[Tensor]]] = []

    def act(
        self, step: TimeStep, memory: TransformerMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, TransformerMemory]:
        """Act, and note memory and attention."""
        output, memory = self.agent.act(step, memory, greedy=greedy)
        self.seen.append((memory.snapshot(), [a.clone() for a in memory.attention]))
        return output, memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)


def corridor(**options: Any) -> CorridorEnv:
    chosen: dict[str, Any] = {"max_length": 12, **options}
    return CorridorEnv(render_mode="rgb_array", **chosen)


def agent_for(env: gym.Env, **options: Any) -> ExpireTransformer:
    return expire_agent(env.observation_space, **options)


def traced(fade: str = "log-linear", layers: int = 2) -> tuple[Trace, Spy]:
    env = corridor()
    spy = Spy(agent_for(env, fade=fade, layers=layers))
    return trace_episode(spy, env, seed=SEED, greedy=False), spy  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("fade", ["linear", "log-linear"])
def test_memories_in_the_trace_are_those_attention_can_reach(fade: str) -> None:
    trace, spy = traced(fade)
    ramp = spy.agent.config.ramp
    assert len(spy.seen) == len(trace.steps) > 10
    for t, (step, (memory, attention)) in enumerate(zip(trace.steps, spy.seen, strict=True)):
        for shown, slots, weights in zip(step.layers, memory.layers, attention, strict=True):
            reached = (weights[0] > 0).all(0).nonzero()[:, 0]
            order = reached[slots.written_at[0, reached].argsort()]
            written, span = slots.written_at[0, order], slots.span[0, order]
            remaining = span - (t - written)
            assert shown.written.tolist() == written.tolist()
            np.testing.assert_array_equal(shown.span, span.numpy())
            np.testing.assert_array_equal(shown.remaining, remaining.numpy())
            np.testing.assert_array_equal(shown.attention, weights[0][:, order].numpy())
            np.testing.assert_allclose(
                shown.mask, fade_bias(remaining, ramp, spy.agent.config.fade).exp(), rtol=1e-6
            )
            assert shown.nbytes == slots.nbytes


def test_the_current_step_is_always_held_and_earlier_ones_are_forgotten() -> None:
    trace, _ = traced()
    counts = kept_counts(trace)
    assert counts.shape == (len(trace.steps), 2)
    assert (counts[0] == 1).all()
    assert counts.max() < len(trace.steps), "nothing was forgotten"
    for t, step in enumerate(trace.steps):
        assert all(layer.written[-1] == t for layer in step.layers)
        assert all((np.diff(layer.written) > 0).all() for layer in step.layers)


def test_attention_of_each_head_sums_to_one_and_masks_lie_between_0_and_1() -> None:
    trace, spy = traced()
    for step in trace.steps:
        for layer in step.layers:
            assert layer.attention.shape == (spy.agent.config.heads, len(layer))
            np.testing.assert_allclose(layer.attention.sum(1), 1, atol=1e-5)
            assert (layer.mask > 0).all()
            assert (layer.mask <= 1).all()
            assert (layer.mask[layer.remaining >= 0] == 1).all()


def test_a_trace_matches_a_replay_of_its_actions() -> None:
    trace, _ = traced()
    env = corridor()
    _, info = env.reset(seed=SEED)
    flags, terminated, truncated = [], False, False
    for t, step in enumerate(trace.steps):
        np.testing.assert_array_equal(trace.frames[t], env.render())
        flags.append((step.relevant, step.decision))
        assert flags[-1] == (info["rl_expire.relevant"], info["rl_expire.decision"])
        _, reward, terminated, truncated, info = env.step(step.taken[0])
        assert step.reward == reward
        assert (terminated or truncated) == (t == len(trace.steps) - 1)
    np.testing.assert_array_equal(trace.frames[len(trace.steps)], env.render())
    assert len(trace.frames) == len(trace.steps) + 1
    assert (trace.terminated, trace.truncated) == (terminated, truncated)
    assert trace.success == info["success"]
    assert trace.total_reward == sum(step.reward for step in trace.steps)
    assert relevant_steps(trace).tolist() == [bool(r) for r, _ in flags]
    assert relevant_steps(trace)[0]
    assert not relevant_steps(trace).all()


def test_greedy_actions_are_the_most_likely_ones_and_policies_sum_to_one() -> None:
    env = corridor()
    trace = trace_episode(agent_for(env), env, seed=SEED)
    for step in trace.steps:
        assert step.taken == (step.policy.argmax(),)
        assert step.policy.sum() == pytest.approx(1, abs=1e-5)


def test_sampled_actions_depend_on_the_seed_alone_and_leave_the_global_random_state() -> None:
    env = corridor()
    agent = agent_for(env)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = torch.rand(1)
    plays = [trace_episode(agent, env, seed=s, greedy=False) for s in (SEED, SEED, SEED + 1)]
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
    actions = [[step.taken for step in trace.steps] for trace in plays]
    assert actions[0] == actions[1] != actions[2]


def test_a_trace_that_reaches_its_step_limit_is_marked_as_cut() -> None:
    env = corridor(min_length=12)
    trace = trace_episode(agent_for(env), env, seed=SEED, max_steps=4)
    assert (len(trace.steps), len(trace.frames)) == (4, 5)
    assert trace.cut
    assert (trace.terminated, trace.truncated, trace.success) == (False, False, None)
    with pytest.raises(ValueError, match=r"^max_steps is 0: choose 1 or more"):
        trace_episode(agent_for(env), env, seed=SEED, max_steps=0)


class ShownEnv(CountingEnv):
    """A counting environment that renders the same frame at every step."""

    def __init__(self, frame: Any = None):
        super().__init__(0)
        self.render_mode = "rgb_array"
        self.frame = np.zeros((4, 6, 3), np.uint8) if frame is None else frame

    def render(self) -> Any:
        """Return the frame."""
        return self.frame


def test_a_small_memory_budget_thins_what_is_recorded_and_changes_no_action() -> None:
    env = corridor(min_length=20, max_length=20)
    agent = agent_for(env)
    whole, thinned = (
        trace_episode(agent, env, seed=SEED, greedy=False, max_bytes=most)
        for most in (1_000_000, 5_000)
    )
    assert whole.every == 1 < thinned.every
    assert all(step.recorded for step in whole.steps)
    assert not all(step.recorded for step in thinned.steps)
    assert [s.taken for s in thinned.steps] == [s.taken for s in whole.steps]
    assert [s.value for s in thinned.steps] == [s.value for s in whole.steps]


def test_an_agent_without_memory_holds_no_memories() -> None:
    trace = trace_episode(CountingAgent(), ShownEnv(), seed=0)
    assert len(trace.steps) == CountingEnv.length(0, 0)
    assert all(step.layers == () for step in trace.steps)
    assert kept_counts(trace).shape == (len(trace.steps), 0)


def test_flags_missing_from_the_info_are_none() -> None:
    trace = trace_episode(CountingAgent(), ShownEnv(), seed=0)
    assert [step.relevant for step in trace.steps] == [True, False]
    assert all(step.decision is None for step in trace.steps)
    assert trace.env_id == "ShownEnv"


@pytest.mark.parametrize(
    "env",
    [CountingEnv(0), CorridorEnv(), ShownEnv("text"), ShownEnv(np.zeros((4, 6, 2), np.uint8))],
    ids=["no render", "no mode", "text", "two channels"],
)
def test_an_environment_without_rgb_frames_is_refused_in_one_line(env: gym.Env) -> None:
    agent: Any = agent_for(env) if isinstance(env, CorridorEnv) else CountingAgent()
    with pytest.raises(
        ValueError, match=r"renders no RGB frames: make it with render_mode="
    ) as caught:
        trace_episode(agent, env, seed=0)
    assert "\n" not in str(caught.value)
    assert type(env).__name__ in str(caught.value)


def test_the_text_of_each_observation_is_recorded() -> None:
    env = InstructionEnv(instructions=1, deeds=2, render_mode="rgb_array")
    trace = trace_episode(agent_for(env), env, seed=0, greedy=False)
    _, info = env.reset(seed=0)
    for step in trace.steps:
        assert step.text == info["rl_expire.text"]
        *_, info = env.step(step.taken[0])
    assert all(step.text is None for step in traced()[0].steps)


def test_a_decision_starts_where_the_step_before_was_none() -> None:
    trace, _ = traced()
    decides = [bool(step.decision) for step in trace.steps]
    assert list(decision_starts(trace)) == [
        t for t, now in enumerate(decides) if now and not (t and decides[t - 1])
    ]
