"""The data that flows from environment to loss.

Shapes: T steps, B environments, A actions, D width, S memory slots, N layers. Time comes first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

Obs = Tensor | dict[str, Tensor]


def map_obs(function: Callable[[Tensor], Tensor], obs: Obs) -> Obs:
    """Apply `function` to an observation tensor, or to each tensor of a dict observation."""
    if isinstance(obs, dict):
        return {name: function(value) for name, value in obs.items()}
    return function(obs)


@dataclass(frozen=True)
class TimeStep:
    """What an agent sees at one step, or, stacked along a first axis, over a rollout.

    Attributes:
        obs: observation tensor, or dict of tensors, `[B, ...]`.
        is_first: `[B]` bool, true on the first observation of an episode.
        last_action: `[B]` int64, the action that led here; ignored where `is_first`.
        last_reward: `[B]` float32, the reward that came with `obs`; ignored where `is_first`.
    """

    obs: Obs
    is_first: Tensor
    last_action: Tensor
    last_reward: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> TimeStep:
        """Apply `function` to every tensor."""
        return TimeStep(
            map_obs(function, self.obs),
            function(self.is_first),
            function(self.last_action),
            function(self.last_reward),
        )

    @staticmethod
    def stack(steps: list[TimeStep]) -> TimeStep:
        """Stack steps `[B, ...]` along a new first axis: `[T, B, ...]`."""
        first = steps[0].obs
        if isinstance(first, dict):
            obs: Obs = {
                name: torch.stack([s.obs[name] for s in steps if isinstance(s.obs, dict)])
                for name in first
            }
        else:
            obs = torch.stack([s.obs for s in steps if isinstance(s.obs, Tensor)])
        return TimeStep(
            obs,
            torch.stack([s.is_first for s in steps]),
            torch.stack([s.last_action for s in steps]),
            torch.stack([s.last_reward for s in steps]),
        )


@dataclass(frozen=True)
class ActorOutput:
    """What `Agent.act` returns: sampled `action [B]`, `logits [B, A]`, `value [B]`."""

    action: Tensor
    logits: Tensor
    value: Tensor


@dataclass(frozen=True)
class AgentOutput:
    """What `Agent.unroll` returns over a rollout.

    Attributes:
        logits: `[T, B, A]`.
        value: `[T, B]`.
        aux_loss: `[]`, the agent's own cost of memory (mean span), unscaled; 0 without one.
        spans: `[N, T, B]`, the lifetime in steps given to each state; N = 0 without lifetimes.
        diagnostics: scalars to log, by name.
        price: `[]`, of lifetimes, what forgetting is learned by: it grows with their logarithm; 0
            without them.
        reconstruction: `[]`, how badly states tell their observations, weighted; 0 where they need
            not, and without gradients.
        value_scale: `[]`, the unit in which errors of `value` are to be counted.
    """

    logits: Tensor
    value: Tensor
    aux_loss: Tensor
    spans: Tensor
    diagnostics: dict[str, Tensor] = field(default_factory=dict)
    span_penalty: Tensor = field(default_factory=lambda: torch.zeros(()))
    reconstruction_loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    value_scale: Tensor = field(default_factory=lambda: torch.ones(()))


@dataclass(frozen=True)
class LayerView:
    """One layer's memory, opened for reading (retention, evaluation), after an `act`.

    Attributes:
        age: `[B, S]` int, steps since the state was written; 0 is the step just seen.
        span: `[B, S]` float, the lifetime given to it, in steps.
        held: `[B, S]` bool, whether attention could reach it at the step just seen.
        mask: `[B, S]` float in [0, 1], the weight factor exp(fade) it had at that step.
        attention: `[B, H, S]` float, what each head paid it at that step.
        ramp: steps over which a memory fades once its lifetime is over; everything is held so long.
        nbytes: bytes of the tensors that hold this layer's memory.
    """

    age: Tensor
    span: Tensor
    held: Tensor
    mask: Tensor
    attention: Tensor
    ramp: float
    nbytes: int


class Memory(Protocol):
    """What the learner may do with an agent's memory; it never looks inside."""

    def select(self, rows: Tensor) -> Self:
        """Return a copy that holds only the environments `rows [K]` (int64)."""
        ...

    def snapshot(self) -> Self:
        """Return a detached copy that later calls of `act` leave alone."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that hold it, for all environments together."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return copies of its tensors in dicts and lists, for a checkpoint."""
        ...

    def restored(self, state: Any) -> Self:
        """Return the memory that `state`, from a checkpoint, describes; this one stays as it is.

        Raises:
            ValueError: `state` is not the state of a memory of as many environments as this one.
        """
        ...


M = TypeVar("M", bound=Memory)


class Agent(nn.Module, ABC, Generic[M]):
    """A policy with memory.

    Invariant: with the same weights, `unroll` over T steps equals T calls of `act`. `unroll` is for
    learning and keeps gradients; `act` needs none.
    """

    @abstractmethod
    def initial_memory(self, batch_size: int) -> M:
        """Return an empty memory for `batch_size` environments."""

    @abstractmethod
    def act(self, step: TimeStep, memory: M, *, greedy: bool = False) -> tuple[ActorOutput, M]:
        """Choose actions for one step `[B]`; may update `memory` in place."""

    @abstractmethod
    def unroll(self, steps: TimeStep, memory: M) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients; leave `memory` unchanged."""

    def refresh(self, memory: M) -> M:
        """Return `memory` as the current weights see it, without what has expired."""
        return memory

    def view(self, memory: M) -> list[LayerView]:
        """Return one view a layer to read the memory by; none if nothing is kept one by one."""
        return []

    def update_value_stats(self, returns: Tensor) -> None:
        """Update the running statistics that values are scaled by, from returns `[K]`.

        Raises:
            NotImplementedError: the agent has no such statistics.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps no statistics of returns")

    def span_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that decide lifetimes; none for an agent without lifetimes."""
        return []


@dataclass(frozen=True)
class Rollout(Generic[M]):
    """T steps of B environments, and the memory the agent had before the first of them.

    Attributes:
        steps: `[T+1, B]`; `steps[T]` is the step after the last action.
        action: `[T, B]` int64.
        reward: `[T, B]` float32.
        terminated: `[T, B]` bool: the episode ended in a terminal state.
        truncated: `[T, B]` bool: the episode was cut off.
        final_value: `[T, B]`, V of the true last observation where truncated, else 0.
        bootstrap_value: `[B]`, V of `steps[T]`.
        logits: `[T, B, A]`, of the policy that acted.
        value: `[T, B]`, of the policy that acted.
        valid: `[T, B]` bool, false on the dummy step of a `NEXT_STEP` environment's reset.
        choice: `[T, B]` bool, the environment's word on where the action makes any difference; all
            true where it says nothing. Elsewhere the policy has nothing to learn but noise.
        relevant: `[T, B]` bool, the environment's word on which observations are needed later, for
            scoring retention only; all false where it gives none.
        memory: the agent's memory before `steps[0]`, detached and cloned.
    """

    steps: TimeStep
    action: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    final_value: Tensor
    bootstrap_value: Tensor
    logits: Tensor
    value: Tensor
    valid: Tensor
    choice: Tensor
    relevant: Tensor
    memory: M

    @property
    def acted_on(self) -> TimeStep:
        """The steps `[T, B]` that actions were chosen at, without the one after the last."""
        return self.steps.map(lambda x: x[: len(self.action)])

    def select(self, rows: Tensor) -> Rollout[M]:
        """Return the rollout of the environments `rows [K]` only: a minibatch over envs."""
        columns = {
            f.name: getattr(self, f.name)[:, rows]
            for f in fields(self)
            if f.name not in ("steps", "memory", "bootstrap_value")
        }
        return replace(
            self,
            steps=self.steps.map(lambda x: x[:, rows]),
            memory=self.memory.select(rows),
            bootstrap_value=self.bootstrap_value[rows],
            **columns,
        )
