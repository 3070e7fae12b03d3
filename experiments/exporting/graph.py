"""Write the step of an exported policy as a graph, and check it against the agent in play."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from gymnasium.vector import VectorEnv

from agents import make_agent
from agents.transformer.spans import SpanTransformer
from experiments.open_run import load_run
from rl_expire.export.files import Run, open_onnx, open_program, write_onnx, write_program
from rl_expire.export.step import NEXT, PolicyStep
from rl_expire.learning.actor import Actor
from rl_expire.types import ActorOutput, Agent, TimeStep
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import EnvConfig, make_envs

GraphFormat = Literal["onnx", "torch"]

ROWS = 2
"""Number of environments that are played for the check."""
STEPS = 1000
"""Number of steps of each."""
SLOTS_FOR_EACH_HELD = 2
"""Slots for each memory that was held at most, unless their number is given."""
FEWEST_SLOTS = 8
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Agreement:
    """How a graph compares with the agent over `STEPS` steps in `ROWS` environments.

    Attributes:
        same_actions: share of steps at which both chose the same action.
        difference: largest difference of the logits.
        milliseconds: time of one step of the graph.
        agent_milliseconds: time of one step of the agent.
    """

    same_actions: float
    difference: float
    milliseconds: float
    agent_milliseconds: float

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"the same actions as the agent in {self.same_actions:.1%} of {ROWS * STEPS:,} steps, "
            f"logits within {self.difference:.1g}; {self.milliseconds:.2f} ms a step, the agent "
            f"{self.agent_milliseconds:.2f} ms"
        )


@dataclass(frozen=True)
class Graph:
    """A graph that was written.

    Attributes:
        path: its file.
        memories: memories that each layer can hold for one environment; 0 for other agents.
        agreement: how it compares with the agent.
    """

    path: Path
    memories: int
    agreement: Agreement


@dataclass(frozen=True)
class Played:
    """One step of the agent in play.

    Attributes:
        seen: `[B, ...]`, what the agent saw.
        output: `[B, ...]`, what it made of it.
        held: most memories that a layer held for an environment; 0 for agents without memories.
    """

    seen: TimeStep
    output: ActorOutput
    held: int


def write_graph(
    folder: Path, file_format: GraphFormat, slots: int | None, trust: Collection[str]
) -> Graph:
    """Write the graph of an exported policy into its folder.

    Args:
        folder: an exported policy.
        file_format: `onnx` for policy.onnx, `torch` for policy.pt2.
        slots: memories that each layer can hold; None: `SLOTS_FOR_EACH_HELD` times what the agent
            held in play. Only for agents with lifetimes.
        trust: modules that the environment may import.

    Raises:
        ValueError: the policy cannot be opened, or `slots` is of no use for its agent.
    """
    _, config, agent = load_run(folder, CPU, trust)
    env = config["env"]
    with closing_envs(make_envs(env["id"], ROWS, env["options"], EnvConfig.from_json(env))) as envs:
        if isinstance(agent, SpanTransformer):
            if slots is None:
                most_held = max(entry.held for entry in _play(envs, agent)[0])
                slots = max(FEWEST_SLOTS, SLOTS_FOR_EACH_HELD * most_held)
            agent = _with_capacity(agent, envs, slots)
        elif slots is not None:
            raise ValueError(f"--slots is for agents with lifetimes, not {config['agent']['name']}")
        played, seconds = _play(envs, agent)
        space = envs.single_observation_space
    step = PolicyStep(agent, space, masked=played[0].seen.action_mask is not None)
    if file_format == "onnx":
        path = folder / "policy.onnx"
        write_onnx(step, path)
        run = open_onnx(path)
    else:
        path = folder / "policy.pt2"
        write_program(step, path)
        run = open_program(path)
    return Graph(path, getattr(agent, "capacity", 0), _compare(run, step, played, seconds))


def _with_capacity(agent: SpanTransformer[Any], envs: VectorEnv, slots: int) -> Agent[Any]:
    """Return the same agent with room for `slots` memories in each layer."""
    config = replace(agent.config, capacity=slots)
    other = make_agent(envs.single_observation_space, envs.single_action_space, config)
    other.load_state_dict(agent.state_dict())
    return other


def _play(envs: VectorEnv, agent: Agent[Any]) -> tuple[list[Played], float]:
    """Return `STEPS` steps of the agent in play, and the seconds that it took to act."""
    actor = Actor(envs, agent, CPU, seed=0)
    played = []
    for _ in range(STEPS):
        seen = actor.step
        output = actor.act(greedy=True)
        held = [int(view.held.sum(1).max()) for view in agent.view(actor.memory)]
        played.append(Played(seen, output, max(held, default=0)))
        actor.advance(output.action)
    return played, actor.seconds["act"]


def _compare(run: Run, step: PolicyStep, played: list[Played], seconds: float) -> Agreement:
    """Compare a graph with the agent on the steps that the agent `played` in `seconds`."""
    carried = step.carried(ROWS)
    own_seconds, difference, same = 0.0, 0.0, 0
    for entry in played:
        inputs = step.inputs(entry.seen) | carried | {"last_action": entry.seen.last_action}
        start = perf_counter()
        outputs = run(inputs)
        own_seconds += perf_counter() - start
        difference = max(difference, float((outputs["logits"] - entry.output.logits).abs().max()))
        carried = {k.removesuffix(NEXT): x for k, x in outputs.items() if k.endswith(NEXT)}
        close = torch.isclose(carried["last_action"], entry.output.action, atol=1e-3)
        same += int(close.reshape(ROWS, -1).all(1).sum())
    count = len(played)
    return Agreement(
        same / (ROWS * count), difference, 1e3 * own_seconds / count, 1e3 * seconds / count
    )
