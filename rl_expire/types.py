"""The data that flows from environment to loss, and the interfaces of agents and environments.

Shapes: T steps, B environments, P parameters of the policy, D width, S memory slots, N layers. Time
comes first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from rl_expire.actions import ActionDistribution

Obs = Tensor | dict[str, Tensor]
"""Observations as tensors; a dict for `Dict` spaces."""


class InfoKey:
    """Keys of `info` that the library reads, for authors of environments. All are optional.

    The keys of this project begin with `PREFIX`, so that none is read that an environment uses for
    something else. Only `ACTION_MASK` is given to the agent. `RELEVANT`, `WITHDRAWN`, `DECISION`
    and `TEXT` are ground truth for scoring and pictures only. `CHOICE` shapes the loss: report it
    as part of the method, since an agent trained with it knows more about its task than one
    trained without.

    Keys of a step are read at every step, from the `info` that `reset` or `step` returned together
    with the observation they describe. Keys of an episode are read once, from the `info` of its
    last step (`final_info` of a vector environment that resets in the same step).

    One more key of an episode is named by the task: its difficulty (float, such as the corridor's
    `length`), by which the curriculum selects episodes. Every other number in an episode's last
    `info` is kept in `Episode.info` too, where a task may use it as its measure of success.

    Numbers and truth values may be of Python, NumPy or Torch, arrays of one element included. Under
    keys without the prefix, everything else is ignored, and so are NaN and infinities.
    """

    PREFIX = "rl_expire."
    """Beginning of the keys of this project."""
    SUCCESS = "success"
    """bool or float in [0, 1], of an episode: whether the task was solved. Drives the schedule of
    forgetting, the reported success rate and, unless the task names another measure, the
    curriculum. Once an episode has had this key, an episode without it is a failure."""
    IS_SUCCESS = "is_success"
    """The same under the name that Gymnasium-Robotics uses; read where `SUCCESS` is missing."""
    CHOICE = "rl_expire.choice"
    """bool, of a step: whether the action makes any difference here. Where it is false, the
    policy's part of the loss is left out. Default: true."""
    ACTION_MASK = "action_mask"
    """array of C truth values, of a step: which actions are allowed, as Gymnasium's Taxi has it;
    with several parts of an action, those of all parts in a row. It may also stand in a `Dict`
    observation under this key. Where it is missing, all actions are allowed."""
    RELEVANT = "rl_expire.relevant"
    """bool, of a step: whether this observation is needed later. Default: false."""
    WITHDRAWN = "rl_expire.withdrawn"
    """bool, of a step: whether this observation's content will be revoked later in the episode, so
    that holding it is of no use from then on. Default: false."""
    DECISION = "rl_expire.decision"
    """bool, of a step: whether the action has to be based on earlier observations. Memory is scored
    at these steps. Default: false."""
    TEXT = "rl_expire.text"
    """str, of a step: the observation in words, shown beside its picture. Default: none."""


FLAGS = {
    InfoKey.CHOICE: True,
    InfoKey.RELEVANT: False,
    InfoKey.WITHDRAWN: False,
    InfoKey.DECISION: False,
}
"""Keys of `info` that hold a truth value at every step, and the value where they are missing."""


def map_obs(function: Callable[[Tensor], Tensor], obs: Obs) -> Obs:
    """Apply `function` to an observation tensor, or to each tensor of a dict observation."""
    if isinstance(obs, dict):
        return {name: function(value) for name, value in obs.items()}
    return function(obs)


@dataclass(frozen=True)
class TimeStep:
    """The agent's input at one step `[B]` or, stacked along a new first axis, at T steps `[T, B]`.

    Attributes:
        obs: `[B, ...]`, observation tensor or dict of tensors.
        is_first: `[B]` bool, true on the first observation of an episode.
        last_action: `[B, ...]`, the previous action (see `ActionLayout`); ignored where `is_first`.
        last_reward: `[B]` float32, the reward that came with `obs`; ignored where `is_first`.
        action_mask: `[B, C]` bool, which of the C categories of all parts of an action are allowed;
            None: all are.
    """

    obs: Obs
    is_first: Tensor
    last_action: Tensor
    last_reward: Tensor
    action_mask: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> TimeStep:
        """Apply `function` to every tensor."""
        return TimeStep(
            map_obs(function, self.obs),
            function(self.is_first),
            function(self.last_action),
            function(self.last_reward),
            None if self.action_mask is None else function(self.action_mask),
        )

    @staticmethod
    def stack(steps: list[TimeStep]) -> TimeStep:
        """Stack steps `[B, ...]` along a new first axis: `[T, B, ...]`."""
        first = steps[0].obs
        masks = [s.action_mask for s in steps if s.action_mask is not None]
        if masks and len(masks) < len(steps):  # where there is none, all actions are allowed
            every = torch.ones_like(masks[0])
            masks = [every if s.action_mask is None else s.action_mask for s in steps]
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
            torch.stack(masks) if masks else None,
        )


@dataclass(frozen=True)
class ActorOutput:
    """Output of `Agent.act`.

    Attributes:
        action: `[B]` or `[B, M + K]`, as in `ActionLayout`.
        logits: `[B, P]`, of the policy, as in `ActionDistribution`.
        value: `[B]`, of the states.
    """

    action: Tensor
    logits: Tensor
    value: Tensor


@dataclass(frozen=True)
class AgentOutput:
    """Output of `Agent.unroll`.

    Attributes:
        logits: `[T, B, P]`, of the policy, as in `ActionDistribution`.
        value: `[T, B]`, of the states.
        aux_loss: `[]`, memory cost for joint training (such as the mean span), not yet weighted; 0
            for an agent without one.
        spans: `[N, T, B]`, lifetime of each new state in steps; N = 0 without lifetimes.
        diagnostics: scalars `[]` to log, by name.
        span_penalty: `[]`, span penalty minimised while learning to forget, which grows with the
            logarithm of the lifetimes; 0 without them.
        reconstruction_loss: `[]`, weighted auxiliary loss; 0 where it is turned off, and without
            gradients.
        value_scale: `[]`, scale of `value`: value errors are divided by it in the loss.
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
    """Read-only view of one layer's memory right after an `act`, for scoring and pictures.

    Attributes:
        age: `[B, S]` int, steps since the state was written; 0 for the current step.
        span: `[B, S]` float, its lifetime in steps.
        held: `[B, S]` bool, whether attention could reach it at the current step.
        mask: `[B, S]` float in [0, 1], its weight factor exp(fade) at the current step.
        attention: `[B, H, S]` float, the attention weight of each head at the current step.
        nbytes: size of the layer's memory tensors, in bytes.
    """

    age: Tensor
    span: Tensor
    held: Tensor
    mask: Tensor
    attention: Tensor
    nbytes: int


class Memory(Protocol):
    """Memory of an agent, for B environments. The learner never looks inside."""

    def select(self, rows: Tensor) -> Self:
        """Return a copy with only the environments `rows [K]` (int64)."""
        ...

    def snapshot(self) -> Self:
        """Return a detached copy that later calls of `act` do not change."""
        ...

    @property
    def nbytes(self) -> int:
        """Size of its tensors in bytes, for all environments together."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return copies of its tensors, in nested dicts and lists, for a checkpoint."""
        ...

    @staticmethod
    def from_state(state: Any) -> Any:
        """Return a memory made of the tensors themselves that another's `state_dict` returned."""
        ...

    def restored(self, state: Any) -> Self:
        """Return a new memory made from copies of the `state_dict` of another.

        Raises:
            ValueError: `state` does not fit the layers, rows and widths of this memory.
        """
        ...


M = TypeVar("M", bound=Memory)


class Agent(nn.Module, ABC, Generic[M]):
    """Base class of policies with memory.

    Invariant: with the same weights, `unroll` over T steps equals T calls of `act`. `unroll` is for
    learning and keeps gradients; `act` does not need them.

    Attributes:
        actions: the policy's distribution over the actions of a space.
    """

    actions: ActionDistribution

    @abstractmethod
    def initial_memory(self, batch_size: int) -> M:
        """Return an empty memory for `batch_size` environments."""

    def fixed_memory(self, batch_size: int) -> M:
        """Return an empty memory with all the space that `act` may ever use, for export."""
        return self.initial_memory(batch_size)

    @abstractmethod
    def act(self, step: TimeStep, memory: M, *, greedy: bool = False) -> tuple[ActorOutput, M]:
        """Choose actions for one step.

        Args:
            step: `[B]`.
            memory: the memory before the step; may be updated in place.
            greedy: take the most likely action; otherwise sample from the policy.

        Returns:
            The output, and the memory after the step.
        """

    @abstractmethod
    def unroll(self, steps: TimeStep, memory: M) -> AgentOutput:
        """Replay `steps [T, B]` from `memory` with gradients; leave `memory` unchanged."""

    def refresh(self, memory: M) -> M:
        """Return `memory` recomputed with the current weights and without expired states."""
        return memory

    def view(self, memory: M) -> list[LayerView]:
        """Return a view of each layer's memory; empty if past states are not stored one by one."""
        return []

    def update_reward_stats(self, rewards: Tensor) -> Tensor:
        """Update the running scale of the rewards from rewards `[K]`.

        An agent that learns the same whatever its rewards are multiplied by divides the rewards
        that it sees by this scale.

        Returns:
            The factor `[]` by which all values have been multiplied: the scale with the very first
            reward, before which values mean nothing, then 1. An agent without a scale returns 1.
        """
        return torch.ones((), device=rewards.device)

    def update_value_stats(self, returns: Tensor) -> Tensor:
        """Update the running scale of the values from returns `[K]`, without changing any value.

        Returns:
            The scale `[]`, as in `AgentOutput.value_scale`. An agent without one returns 1.
        """
        return torch.ones((), device=returns.device)

    def update_obs_stats(self, obs: Obs, valid: Tensor) -> None:
        """Update the running scale of the observed numbers; by default there is none.

        It is called after learning from a rollout, so that `unroll` has reproduced what `act` did.
        Nothing else changes the scale: in evaluation and in use it stays as it is. With many ranks
        all have to call this, each with its own observations; they end with the same scale.

        Args:
            obs: `[T, B, ...]`.
            valid: `[T, B]` bool, which of them count.
        """

    def loss_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that only losses use, and `act` does not; by default none."""
        return []

    def span_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that determine lifetimes; empty for an agent without them."""
        return []


@dataclass(frozen=True)
class Rollout(Generic[M]):
    """T steps of B environments, and the agent's memory before the first step.

    Attributes:
        steps: `[T+1, B]`; `steps[T]` is the step after the last action.
        action: `[T, B]` or `[T, B, M + K]`, as in `ActionLayout`.
        reward: `[T, B]` float32.
        terminated: `[T, B]` bool, whether the episode reached a terminal state.
        truncated: `[T, B]` bool, whether the episode was cut off.
        final_value: `[T, B]`, value of the final observation where truncated, else 0.
        bootstrap_value: `[B]`, value of `steps[T]`.
        logits: `[T, B, P]`, of the policy that acted.
        value: `[T, B]`, of the policy that acted.
        valid: `[T, B]` bool, false where a `NEXT_STEP` environment used the step to reset.
        choice: `[T, B]` bool, see `InfoKey.CHOICE`. Where it is false, the policy has nothing to
            learn but noise.
        relevant: `[T, B]` bool, see `InfoKey.RELEVANT`; for diagnostics only.
        pace: `[B]`, by how much the memories of each environment aged in a step.
        memory: the agent's memory before `steps[0]`, a detached copy.
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
    pace: Tensor
    memory: M

    @property
    def acted_on(self) -> TimeStep:
        """The steps `[T, B]` at which actions were chosen: all but the last one of `steps`."""
        return self.steps.map(lambda x: x[: len(self.action)])

    def with_values_times(self, factor: Tensor) -> Rollout[M]:
        """Return the rollout with all values multiplied by `factor []`."""
        names = "value", "bootstrap_value", "final_value"
        return replace(
            self, **{name: (getattr(self, name) * factor).to(self.value) for name in names}
        )

    def select(self, rows: Tensor) -> Rollout[M]:
        """Return the rollout of the environments `rows [K]` only, as a minibatch."""
        columns = {
            f.name: getattr(self, f.name)[:, rows]
            for f in fields(self)
            if f.name not in ("steps", "memory", "bootstrap_value", "pace")
        }
        return replace(
            self,
            steps=self.steps.map(lambda x: x[:, rows]),
            memory=self.memory.select(rows),
            bootstrap_value=self.bootstrap_value[rows],
            pace=self.pace[rows],
            **columns,
        )
