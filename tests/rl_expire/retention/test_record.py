"""A trace shows what the agent's memory really holds, tensor by tensor."""

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
from rl_expire.retention.trace import (
    Frames,
    Trace,
    action_names,
    decision_starts,
    kept_counts,
    relevant_steps,
    trace_episode,
)
from rl_expire.retention.video import schedule
from rl_expire.types import ActorOutput, TimeStep
from tests.support import CountingAgent, CountingEnv, expire_agent

SEED = 3


class Spy:
    """An agent that is watched: what its tensors were right after each `act`."""

    def __init__(self, agent: ExpireTransformer):
        self.agent = agent
        self.seen: list[tuple[TransformerMemory, list[Tensor]]] = []

    def act(
        self, step: TimeStep, memory: TransformerMemory, *, greedy: bool = False
    ) -> tuple[ActorOutput, TransformerMemory]:
        """Act, and note the memory."""
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
def test_what_is_shown_as_held_is_what_attention_can_reach(fade: str) -> None:
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


def test_memories_are_forgotten_on_the_way_and_the_present_never_is() -> None:
    trace, _ = traced()
    counts = kept_counts(trace)
    assert counts.shape == (len(trace.steps), 2)
    assert (counts[0] == 1).all()
    assert counts.max() < len(trace.steps), "nothing was forgotten: nothing was tested"
    for t, step in enumerate(trace.steps):
        assert all(layer.written[-1] == t for layer in step.layers)
        assert all((np.diff(layer.written) > 0).all() for layer in step.layers)


def test_each_heads_attention_sums_to_one_and_every_mask_is_a_share() -> None:
    trace, spy = traced()
    for step in trace.steps:
        for layer in step.layers:
            assert layer.attention.shape == (spy.agent.config.heads, len(layer))
            np.testing.assert_allclose(layer.attention.sum(1), 1, atol=1e-5)
            assert (layer.mask > 0).all()
            assert (layer.mask <= 1).all()
            assert (layer.mask[layer.remaining >= 0] == 1).all()


def test_a_trace_is_the_episode_as_the_environment_played_it() -> None:
    trace, _ = traced()
    env = corridor()
    _, info = env.reset(seed=SEED)
    flags, terminated, truncated = [], False, False
    for t, step in enumerate(trace.steps):
        np.testing.assert_array_equal(trace.frames[t], env.render())
        flags.append((step.relevant, step.decision))
        assert flags[-1] == (info["relevant"], info["decision"])
        _, reward, terminated, truncated, info = env.step(step.action)
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


def test_greedy_takes_the_most_likely_action_and_policies_are_distributions() -> None:
    env = corridor()
    trace = trace_episode(agent_for(env), env, seed=SEED)
    for step in trace.steps:
        assert step.action == step.policy.argmax()
        assert step.policy.sum() == pytest.approx(1, abs=1e-5)


def test_sampling_repeats_itself_and_leaves_other_random_numbers_alone() -> None:
    env = corridor()
    agent = agent_for(env)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = torch.rand(1)
    plays = [trace_episode(agent, env, seed=s, greedy=False) for s in (SEED, SEED, SEED + 1)]
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
    actions = [[step.action for step in trace.steps] for trace in plays]
    assert actions[0] == actions[1] != actions[2]


def test_a_trace_that_stopped_early_is_marked_as_cut() -> None:
    env = corridor(min_length=12)
    trace = trace_episode(agent_for(env), env, seed=SEED, max_steps=4)
    assert (len(trace.steps), len(trace.frames)) == (4, 5)
    assert trace.cut
    assert (trace.terminated, trace.truncated, trace.success) == (False, False, None)
    with pytest.raises(ValueError, match="--max-steps is 0: choose 1 or more"):
        trace_episode(agent_for(env), env, seed=SEED, max_steps=0)


class ShownEnv(CountingEnv):
    """A counting environment that can be seen."""

    def __init__(self, frame: Any = None):
        super().__init__(0)
        self.render_mode = "rgb_array"
        self.frame = np.zeros((4, 6, 3), np.uint8) if frame is None else frame

    def render(self) -> Any:
        """Show the same."""
        return self.frame


def test_a_long_episode_is_noted_more_coarsely_and_never_wrongly() -> None:
    env = corridor(min_length=60, max_length=60, num_cues=2)
    agent = agent_for(env)
    fine = trace_episode(agent, env, seed=SEED, greedy=False)
    size = sum(step.layers[0].trace_nbytes for step in fine.steps) + fine.frames.nbytes
    coarse = trace_episode(agent, env, seed=SEED, greedy=False, max_bytes=size // 5)
    assert fine.every == 1
    assert coarse.every in (4, 8, 16)
    assert len(coarse.steps) == len(fine.steps)
    source = 0
    for t, (ours, theirs) in enumerate(zip(coarse.steps, fine.steps, strict=True)):
        source = t if ours.recorded else source
        before = fine.steps[max(0, t - 1)]
        begins = (theirs.relevant and not before.relevant) or (
            theirs.decision and not before.decision
        )
        if begins or t % coarse.every == 0 or t == len(fine.steps) - 1:
            assert ours.recorded
        np.testing.assert_array_equal(coarse.frames[t], fine.frames[source])
        assert (ours.action, ours.value, ours.decision) == (
            theirs.action,
            theirs.value,
            theirs.decision,
        )
        np.testing.assert_array_equal(ours.layers[0].written, fine.steps[source].layers[0].written)
        np.testing.assert_array_equal(
            ours.layers[0].attention, fine.steps[source].layers[0].attention
        )
    held = {id(step.layers): step.layers[0].trace_nbytes for step in coarse.steps}
    assert sum(held.values()) + coarse.frames.nbytes <= size // 5 + size // 20
    assert schedule_is_noted(coarse)


def schedule_is_noted(trace: Trace) -> bool:
    """Whether a video shows only steps that were recorded in full."""
    shown = {t for t in schedule(trace, 12) if t < len(trace.steps)}
    return all(trace.steps[t].recorded for t in shown)


def test_an_agent_without_memory_holds_nothing() -> None:
    trace = trace_episode(CountingAgent(), ShownEnv(), seed=0)
    assert len(trace.steps) == CountingEnv.length(0, 0)
    assert all(step.layers == () for step in trace.steps)
    assert kept_counts(trace).shape == (len(trace.steps), 0)


def test_what_the_environment_does_not_say_is_none() -> None:
    trace = trace_episode(CountingAgent(), ShownEnv(), seed=0)
    assert [step.relevant for step in trace.steps] == [True, False]
    assert all(step.decision is None for step in trace.steps)
    assert trace.env_id == "ShownEnv"
    assert trace.action_names == tuple(f"action {n}" for n in range(5))


@pytest.mark.parametrize(
    "env",
    [CountingEnv(0), CorridorEnv(), ShownEnv("text"), ShownEnv(np.zeros((4, 6), np.uint8))],
    ids=["no render", "no mode", "text", "no colours"],
)
def test_an_environment_that_gives_no_frames_is_refused_in_one_line(env: gym.Env) -> None:
    agent: Any = agent_for(env) if isinstance(env, CorridorEnv) else CountingAgent()
    with pytest.raises(ValueError, match=r"cannot be shown: .*make it with render_mode=") as caught:
        trace_episode(agent, env, seed=0)
    assert "\n" not in str(caught.value)
    assert type(env).__name__ in str(caught.value)


def test_three_actions_are_the_corridors_words() -> None:
    assert action_names(CorridorEnv(), 3) == ("left", "right", "forward")
    assert action_names(CorridorEnv(), 2) == ("action 0", "action 1")


def test_a_text_world_says_what_was_read_and_what_is_done() -> None:
    env = InstructionEnv(instructions=1, deeds=2, render_mode="rgb_array")
    trace = trace_episode(agent_for(env), env, seed=0, greedy=False)
    _, info = env.reset(seed=0)
    for step in trace.steps:
        assert step.text == info["text"]
        *_, info = env.step(step.action)
    assert trace.action_names == ("walk on", "ring", "light")
    assert all(step.text is None for step in traced()[0].steps)


def test_frames_come_back_as_they_were_and_are_held_small() -> None:
    frames, given = Frames(), []
    for n in range(5):
        frame = np.zeros((40, 60, 3), np.uint8)
        frame[n:, ::2] = 10 * n
        given.append(frame)
        frames.append(frame)
    assert len(frames) == 5
    for n, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, given[n])
    assert [f.tolist() for f in frames[1:3]] == [f.tolist() for f in given[1:3]]
    assert frames.nbytes < sum(f.nbytes for f in given) / 20


def test_decisions_begin_where_there_was_none_before() -> None:
    trace, _ = traced()
    decides = [bool(step.decision) for step in trace.steps]
    assert list(decision_starts(trace)) == [
        t for t, now in enumerate(decides) if now and not (t and decides[t - 1])
    ]
