"""Collect rollouts with an actor."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rl_expire.learning.actor import Actor
from rl_expire.types import InfoKey, M, Rollout, TimeStep


@torch.no_grad()
def collect(actor: Actor[M], length: int) -> Rollout[M]:
    """Run `actor` for `length` steps.

    Args:
        actor: environments and agent; they continue from where they are.
        length: T.

    Returns:
        The T steps, with the memory that the agent had before the first one.
    """
    memory = actor.memory.snapshot()
    steps, outputs, transitions, final_values = [actor.step], [], [], []
    choice, relevant = [], []
    for _ in range(length):
        choice.append(actor.flag(InfoKey.CHOICE))
        relevant.append(actor.flag(InfoKey.RELEVANT))
        output = actor.act()
        transition = actor.advance(output.action)
        final_values.append(actor.final_values(transition, output.action))
        outputs.append(output)
        transitions.append(transition)
        steps.append(actor.step)
    bootstrap, _ = actor.agent.act(actor.step, actor.memory.snapshot())

    def stacked(name: str) -> Tensor:
        """Stack a field of the transitions to `[T, B]`."""
        arrays = [getattr(transition, name) for transition in transitions]
        return torch.as_tensor(np.stack(arrays), device=actor.device)

    return Rollout(
        steps=TimeStep.stack(steps),
        action=torch.stack([o.action for o in outputs]),
        reward=stacked("reward"),
        terminated=stacked("terminated"),
        truncated=stacked("truncated"),
        final_value=torch.stack(final_values),
        bootstrap_value=bootstrap.value,
        logits=torch.stack([o.logits for o in outputs]),
        value=torch.stack([o.value for o in outputs]),
        valid=stacked("valid"),
        choice=torch.as_tensor(np.stack(choice), device=actor.device),
        relevant=torch.as_tensor(np.stack(relevant), device=actor.device),
        pace=actor.pace,
        memory=memory,
    )
