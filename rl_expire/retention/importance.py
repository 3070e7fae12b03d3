"""What an agent without memories goes by: what it saw is hidden, and it acts again.

Such an agent (an LSTM, or one without memory) has nothing that could be shown as held. What can be
shown is how much each thing seen matters for what it does now: occlusion, as in Zeiler and Fergus
2014, section 4.2, over time instead of over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rl_expire.types import Agent, M, Obs, TimeStep

MOST_HIDDEN = 256
"""Longer episodes are cut into at most so many stretches, each of which is hidden as a whole."""


@dataclass(frozen=True)
class Importance:
    """How much each thing seen matters at each of T steps.

    Attributes:
        every: k, the steps that are hidden at a time.
        shares: T arrays `[t // k + 1]` float32: how far, as a share of 1, the policy of step t
            would change if steps 0 to k - 1, k to 2k - 1, ... had not been seen.
    """

    every: int
    shares: tuple[npt.NDArray[np.float32], ...]

    def at(self, t: int) -> npt.NDArray[np.float32]:
        """Return `[t + 1]`, the importance of each thing seen so far for what is done at step t."""
        return np.repeat(self.shares[t], self.every)[: t + 1]


@torch.no_grad()
def measure_importance(
    agent: Agent[M], steps: Sequence[TimeStep], policies: Sequence[npt.NDArray[np.float32]]
) -> Importance:
    """Play an episode again many times over, each time with another stretch of it hidden.

    Importance is the total variation distance between the policy as it was and as it is with an
    observation hidden: the share of its choices that would change. It is 0 where the agent would
    have done the same anyway, for whatever reason. A hidden observation is replaced by the usual
    one of the episode (see `usual_obs`); actions and rewards stay as they were, so that notes an
    agent leaves itself in its actions are not hidden.

    All stretches are one batch of at most `MOST_HIDDEN` rows, played step by step: memory does not
    grow with the episode.

    Args:
        agent: the policy.
        steps: the T steps of one episode, a batch of 1 each.
        policies: `[A]` of each step, as they were.
    """
    every = -(-len(steps) // MOST_HIDDEN)
    rows = -(-len(steps) // every)
    usual = usual_obs(steps)
    memory, shares = agent.initial_memory(rows), []
    for t, (step, policy) in enumerate(zip(steps, policies, strict=True)):
        row = t // every
        batch = step.map(lambda x: x.expand(rows, *x.shape[1:]).clone())
        _hide(batch.obs, usual, row)
        output, memory = agent.act(batch, memory, greedy=True)
        changed = output.logits[: row + 1].softmax(-1).cpu() - torch.as_tensor(policy)
        shares.append((changed.abs().sum(-1) / 2).numpy())
    return Importance(every, tuple(shares))


def usual_obs(steps: Sequence[TimeStep]) -> Obs:
    """Return what is most often seen in steps of a batch of 1, without its batch dimension.

    Of numbers that are not whole it is the mean.
    """
    first = steps[0].obs
    if isinstance(first, dict):
        parts = [step.obs for step in steps if isinstance(step.obs, dict)]
        return {name: _usual(torch.cat([part[name] for part in parts])) for name in first}
    return _usual(torch.cat([step.obs for step in steps if isinstance(step.obs, Tensor)]))


def _usual(seen: Tensor) -> Tensor:
    """Return of `seen [T, ...]` the most frequent entry, or the mean of floats."""
    if seen.is_floating_point():
        return seen.mean(0)
    distinct, counts = seen.flatten(1).unique(dim=0, return_counts=True)
    return distinct[counts.argmax()].view(seen.shape[1:])


def _hide(obs: Obs, usual: Obs, row: int) -> None:
    """Replace what one row of a batch sees."""
    if isinstance(obs, dict) and isinstance(usual, dict):
        for name, part in obs.items():
            part[row] = usual[name]
    elif isinstance(obs, Tensor) and isinstance(usual, Tensor):
        obs[row] = usual
