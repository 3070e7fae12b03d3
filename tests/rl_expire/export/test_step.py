"""A policy's step as a graph agrees with the agent over whole episodes, in every runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import ExpireSpanConfig, LSTMConfig, make_agent
from rl_expire.export.files import (
    Run,
    export_program,
    open_onnx,
    open_program,
    write_onnx,
    write_program,
)
from rl_expire.export.step import NEXT, PolicyStep
from rl_expire.types import Agent, TimeStep
from tests.support import AGENTS, SPACES, VECTOR, expire_agent, random_steps, stirred

STEPS = 40
START = [(0, 0), (0, 1), (0, 2), (17, 1), (30, 0)]


def assert_agrees(agent: Agent[Any], steps: TimeStep, space: gym.Space, run: Run) -> None:
    """Compare a graph with the agent's own `act`, step by step; both choose for themselves."""
    graph, rows = PolicyStep(agent, space), steps.is_first.shape[1]
    memory, carried = agent.initial_memory(rows), graph.carried(rows)
    action = carried["last_action"]
    for t in range(len(steps.is_first)):
        step = replace(steps.map(lambda x, t=t: x[t]), last_action=action)
        outputs = run(graph.inputs(step) | carried)
        expected, memory = agent.act(step, memory, greedy=True)
        action = expected.action
        torch.testing.assert_close(outputs["logits"], expected.logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(outputs["value"], expected.value, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(outputs["last_action.next"], action, atol=1e-4, rtol=1e-4)
        carried = {k.removesuffix(NEXT): x for k, x in outputs.items() if k.endswith(NEXT)}


SLOW = ["transformer-xl", "adaptive-span", "compressive", "gru"]
IN_ONNX = ["expire-span", "lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
"""The memoryless agent is a transformer-xl with a window of 0; its graph is tested below."""
OTHERS = [
    "memoryless",
    "expire-span, 3 layers, linear, last obs, reconstruct",
    "compressive, 2 layers",
    "lstm, 2 layers, last obs, reconstruct",
    "gru, 2 layers, last obs, reconstruct",
]


@pytest.mark.parametrize("name", OTHERS)
def test_the_graph_of_other_agents_and_with_several_layers(name: str) -> None:
    agent = AGENTS[name]()
    run = export_program(PolicyStep(agent, VECTOR)).module()
    assert_agrees(agent, random_steps(STEPS, 3, first=START), VECTOR, run)
    assert_agrees(agent, random_steps(STEPS, 1, first=[(0, 0), (9, 0)]), VECTOR, run)


@pytest.mark.parametrize("name", IN_ONNX)
def test_onnxruntime_agrees_with_every_agent(name: str, tmp_path: Path) -> None:
    agent = AGENTS[name]()
    write_onnx(PolicyStep(agent, VECTOR), tmp_path / "policy.onnx")
    run = open_onnx(tmp_path / "policy.onnx")
    assert_agrees(agent, random_steps(STEPS, 3, first=START), VECTOR, run)
    assert_agrees(agent, random_steps(STEPS, 1, first=[(0, 0), (9, 0)]), VECTOR, run)


@pytest.mark.parametrize("name", ["tokens", "dict"])
def test_observations_of_every_kind(name: str) -> None:
    space = SPACES[name]
    agent = expire_agent(space, last_obs=True)
    run = export_program(PolicyStep(agent, space)).module()
    assert_agrees(agent, random_steps(STEPS, 3, space=space, first=START), space, run)


def test_a_full_memory_evicts_as_the_agent_does() -> None:
    agent = expire_agent(capacity=3, max_span=50.0)
    run = export_program(PolicyStep(agent, VECTOR)).module()
    assert_agrees(agent, random_steps(STEPS, 3, first=START), VECTOR, run)


def test_the_file_of_torch_export(tmp_path: Path) -> None:
    agent = expire_agent()
    write_program(PolicyStep(agent, VECTOR), tmp_path / "policy.pt2")
    run = open_program(tmp_path / "policy.pt2")
    assert_agrees(agent, random_steps(STEPS, 3, first=START), VECTOR, run)


ACTIONS = spaces.Dict(
    {
        "tool": spaces.Discrete(3, start=5),
        "move": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 10], np.float32)),
        "more": spaces.Tuple((spaces.MultiDiscrete([2, 4]), spaces.MultiBinary(2))),
    }
)


def test_actions_are_those_that_the_environment_takes(tmp_path: Path) -> None:
    agent = stirred(make_agent(VECTOR, ACTIONS, LSTMConfig(width=16)))
    step = PolicyStep(agent, VECTOR)
    write_onnx(step, tmp_path / "policy.onnx")
    inputs = step.example(4)
    outputs = open_onnx(tmp_path / "policy.onnx")(inputs)
    expected = agent.actions.layout.to_env(outputs["last_action.next"])
    np.testing.assert_array_equal(outputs["action.tool"], expected["tool"])
    np.testing.assert_allclose(outputs["action.move"], expected["move"], rtol=1e-6)
    np.testing.assert_array_equal(outputs["action.more.0"], expected["more"][0])
    np.testing.assert_array_equal(outputs["action.more.1"], expected["more"][1])


def test_a_mask_rules_actions_out(tmp_path: Path) -> None:
    agent = expire_agent()
    step = PolicyStep(agent, VECTOR, masked=True)
    run = export_program(step).module()
    inputs = step.example(2)
    taken = run(inputs)["action"]
    inputs["action_mask"][range(2), taken] = False
    assert (run(inputs)["action"] != taken).all()


def test_a_mask_in_the_observation(tmp_path: Path) -> None:
    space = spaces.Dict({"action_mask": spaces.MultiBinary(3), "vector": VECTOR})
    agent = stirred(make_agent(space, spaces.Discrete(3), ExpireSpanConfig(width=16, heads=2)))
    step = PolicyStep(agent, space)
    run = export_program(step).module()
    inputs = step.example(2)
    inputs["obs.action_mask"] = torch.tensor([[0, 1, 0], [0, 0, 1]], dtype=torch.int8)
    assert run(inputs)["action"].tolist() == [1, 2]


def test_keys_of_any_characters() -> None:
    odd = ["a\x00", "%", "%00", "\n", "é", "obs", "", '"', "'", "\\", "a b.c"]
    space = spaces.Dict({key: VECTOR for key in odd})
    agent = stirred(make_agent(space, spaces.Discrete(3), LSTMConfig(width=8)))
    step = PolicyStep(agent, space)
    inputs = step.example(2)
    assert len([name for name in inputs if name.startswith("obs.")]) == len(odd)
    torch.testing.assert_close(export_program(step).module()(inputs), step(inputs))
