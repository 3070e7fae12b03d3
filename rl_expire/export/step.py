"""One step of an agent as a function of named tensors, with its memory going in and out."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor, nn

from rl_expire.learning.actor import to_tensor
from rl_expire.types import Agent, InfoKey, Memory, Obs, TimeStep
from rl_expire.vector.nest import flat_space, leaves, plain_name

NEXT = ".next"
"""Ending of outputs that are inputs of the next step."""


class PolicyStep(nn.Module):
    """One greedy step of an agent, from named tensors `[B, ...]` to named tensors.

    Inputs: `obs`, or `obs.KEY` for each entry of a `Dict`, where the leaves of a nest are named as
    by `flat_space`; `is_first` bool; `last_reward` float32; `action_mask [B, C]` bool if asked for;
    `last_action`; and the tensors of the memory, `memory.NAME`. On the first
    step of an episode `is_first` is true, and all tensors after `action_mask` may hold zeros.

    Outputs: `action`, or `action.PATH` for each part of a nested space, as the environment takes
    it: int64, or float64 for a `Box`; `logits [B, P]`, see `ActionDistribution`; `value [B]`; and
    `last_action.next` and `memory.NAME.next`, which are inputs of the next step.

    Args:
        agent: the agent.
        observation_space: what it reads, of one environment.
        masked: whether `action_mask` is an input; not needed for a mask within the observation.
    """

    def __init__(self, agent: Agent[Any], observation_space: gym.Space, *, masked: bool = False):
        """Look at the tensors of the agent's memory."""
        super().__init__()
        self.agent = agent
        self.space = observation_space
        self.masked = masked
        self.names = {
            key: "obs" if key is None else f"obs.{plain_name(key)}"
            for key in leaves(flat_space(observation_space))
        }
        """Names of the inputs that are observed, by the observation's keys."""

    def example(self, rows: int) -> dict[str, Tensor]:
        """Return inputs for the first step of `rows` environments with random observations."""
        obs = to_tensor(batch_space(self.space, rows).sample(), torch.device("cpu"))
        mask = torch.ones(rows, self.agent.actions.categories, dtype=torch.bool)
        carried = self.carried(rows)
        first = TimeStep(
            obs,
            torch.ones(rows, dtype=torch.bool),
            carried["last_action"],
            torch.zeros(rows),
            mask if self.masked else None,
        )
        return self.inputs(first) | carried

    def inputs(self, step: TimeStep) -> dict[str, Tensor]:
        """Return the inputs that tell what the agent sees at a step `[B]`."""
        obs = step.obs if isinstance(step.obs, dict) else {None: step.obs}
        inputs = {self.names[key]: x for key, x in obs.items()}
        inputs |= {"is_first": step.is_first, "last_reward": step.last_reward}
        return inputs | ({"action_mask": step.action_mask} if step.action_mask is not None else {})

    def carried(self, rows: int) -> dict[str, Tensor]:
        """Return the inputs that go from step to step, as they are before the first one."""
        last = {"last_action": self.agent.actions.layout.first(rows)}
        return last | _named(self.agent.fixed_memory(rows))

    def batch_axes(self) -> dict[str, int]:
        """Return which axis of each input counts the environments."""
        two, three = self.example(2), self.example(3)
        return {
            name: next(n for n, size in enumerate(x.shape) if size != three[name].shape[n])
            for name, x in two.items()
        }

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take one step."""
        template = self.agent.fixed_memory(1)
        state = {name: x.clone() for name, x in inputs.items()}  # `act` may write into them
        memory = template.from_state(_nested(template.state_dict(), state, "memory"))
        obs = self._obs(inputs)
        mask = inputs.get("action_mask")
        if isinstance(obs, dict) and InfoKey.ACTION_MASK in obs:
            mask = obs[InfoKey.ACTION_MASK].flatten(1).bool()
        step = TimeStep(obs, inputs["is_first"], inputs["last_action"], inputs["last_reward"], mask)
        output, memory = self.agent.act(step, memory, greedy=True)
        layout = self.agent.actions.layout
        paths = [f"action.{leaf.path}" if leaf.path else "action" for leaf in layout.leaves]
        outputs = dict(zip(paths, layout.leaf_actions(output.action), strict=True))
        outputs |= {"logits": output.logits, "value": output.value}
        after = {"last_action": output.action} | _named(memory)
        return outputs | {f"{name}{NEXT}": x for name, x in after.items()}

    def _obs(self, inputs: dict[str, Tensor]) -> Obs:
        """Return the observation from the inputs."""
        parts = {key: inputs[name] for key, name in self.names.items()}
        return parts[None] if None in parts else {str(key): x for key, x in parts.items()}


def _named(memory: Memory) -> dict[str, Tensor]:
    """Return the tensors of a memory by name, without empty ones, which no runtime needs."""
    return {name: x for name, x in _flat(memory.state_dict(), "memory") if x.numel()}


def _flat(state: Any, name: str) -> list[tuple[str, Tensor]]:
    """Return the tensors in nested dicts and lists, with dots between the parts of their names."""
    if isinstance(state, Tensor):
        return [(name, state)]
    parts = state.items() if isinstance(state, dict) else enumerate(state)
    return [leaf for key, part in parts for leaf in _flat(part, f"{name}.{key}")]


def _nested(template: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """Return `tensors` in the nested dicts and lists of `template`, the inverse of `_flat`."""
    if isinstance(template, Tensor):
        return tensors.get(name, template)
    if isinstance(template, dict):
        return {key: _nested(x, tensors, f"{name}.{key}") for key, x in template.items()}
    return [_nested(part, tensors, f"{name}.{n}") for n, part in enumerate(template)]
