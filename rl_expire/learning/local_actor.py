"""Act in the learner's own process: collect a rollout, then learn from it, in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from rl_expire.learning.actor import Actor
from rl_expire.learning.rollout import collect
from rl_expire.types import Agent, M, Rollout
from rl_expire.vector.faults import close_envs
from rl_expire.vector.state import Resumable


class CurriculumEnvs(Protocol):
    """Environments whose difficulty a curriculum can change."""

    def change(self, **options: int) -> None:
        """Change options, in each environment from its next episode on."""


class LocalActor(Actor[M]):
    """An actor that a trainer asks for rollouts.

    Args:
        envs: see `Actor`. If there are `options`, it has a method `change(**options)`.
        agent: see `Actor`.
        device: see `Actor`.
        seed: see `Actor`.
        solved_return: see `Actor`.
        options: options of the environments to begin with.
        pace: see `Actor`.

    Attributes:
        source: number of the actor that collected the last rollout: there is only one.
        staleness: updates between the weights that acted in it and those that learn from it.
    """

    source = 0
    staleness = 0

    def __init__(
        self,
        envs: VectorEnv,
        agent: Agent[M],
        device: torch.device,
        seed: int,
        solved_return: float | None = None,
        options: Mapping[str, int] | None = None,
        pace: Tensor | None = None,
    ):
        """Change and reset the environments."""
        self.envs = envs
        self.change(options or {})
        super().__init__(envs, agent, device, seed, solved_return, pace)

    def collect(self, length: int) -> Rollout[M]:
        """Run for `length` steps, and return them."""
        return collect(self, length)

    def refresh(self) -> None:
        """Recompute the memory with the agent's current weights."""
        self.memory = self.agent.refresh(self.memory)

    def change(self, options: Mapping[str, int]) -> None:
        """Change options of the environments, in each from its next episode on."""
        if options:
            cast(CurriculumEnvs, self.envs.unwrapped).change(**options)

    @property
    def metadata(self) -> dict[str, Any]:
        """The environments' metadata."""
        return self.envs.metadata

    @property
    def resumes_exactly(self) -> bool:
        """Whether `state_dict` holds the environments' complete state, episodes included."""
        return isinstance(self.envs, Resumable)

    def check_policy(self) -> None:
        """Act once on a copy of the memory: weights that fit may still give no finite policy.

        Raises:
            ValueError: policy or value is not finite.
        """
        output, _ = self.agent.act(self.step, self.memory.snapshot())
        if not bool(output.logits.isfinite().all() & output.value.isfinite().all()):
            raise ValueError("the policy of these weights is not finite")

    def close(self) -> None:
        """Close the environments."""
        close_envs(self.envs)
