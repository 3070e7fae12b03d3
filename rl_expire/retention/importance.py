"""Occlusion importance of past observations, for agents without a memory buffer.

An agent such as an LSTM has no memories to show. What can be measured is how much each observation
matters for the current action: occlusion, as in Zeiler and Fergus 2014, section 4.2, over time
instead of over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rl_expire.retention.action_bars import bars, change
from rl_expire.types import Agent, M, Obs, TimeStep

MAX_OCCLUSIONS = 256
"""Longer episodes are divided into at most this many stretches, each occluded as a whole."""


@dataclass(frozen=True)
class Importance:
    """Importance of each observation at each of T steps.

    Attributes:
        every: k, the number of consecutive steps occluded at a time.
        shares: T arrays `[t // k + 1]` float32 in [0, 1]: how much the policy of step t changes if
            the observations of steps 0 to k - 1, k to 2k - 1, ... are occluded.
    """

    every: int
    shares: tuple[npt.NDArray[np.float32], ...]

    def at(self, t: int) -> npt.NDArray[np.float32]:
        """Return `[t + 1]`, the importance of each observation so far for the action of step t."""
        return np.repeat(self.shares[t], self.every)[: t + 1]


@torch.no_grad()
def measure_importance(
    agent: Agent[M], steps: Sequence[TimeStep], policies: Sequence[npt.NDArray[np.float32]]
) -> Importance:
    """Replay an episode once for each stretch of steps, with that stretch occluded.

    Importance is how much the policy changes with an observation occluded: the total variation
    distance between the two, see `action_bars.change`. It is 0 where the agent would have acted the
    same anyway, for whatever reason. An occluded observation is replaced by the typical one of the
    episode (see `typical_obs`). Actions and rewards stay as they were, so information that the
    agent passes on through its own actions is not occluded.

    All replays form one batch of at most `MAX_OCCLUSIONS` rows, stepped through together: memory
    does not grow with the episode.

    Args:
        agent: The policy.
        steps: The T steps of one episode, a batch of 1 each.
        policies: `[C + K]`, the bars of the policy at each step.
    """
    every = -(-len(steps) // MAX_OCCLUSIONS)
    rows = -(-len(steps) // every)
    typical = typical_obs(steps)
    memory, shares = agent.initial_memory(rows), []
    for t, (step, policy) in enumerate(zip(steps, policies, strict=True)):
        row = t // every
        batch = step.map(lambda x: x.expand(rows, *x.shape[1:]).clone())
        _occlude(batch.obs, typical, row)
        output, memory = agent.act(batch, memory, greedy=True)
        occluded = bars(agent.actions, output.logits[: row + 1])
        shares.append(change(agent.actions.layout, occluded, policy))
    return Importance(every, tuple(shares))


def typical_obs(steps: Sequence[TimeStep]) -> Obs:
    """Return the most frequent observation, or the mean of floating-point ones.

    Each part of a dict observation is treated on its own.

    Args:
        steps: Steps of one episode, a batch of 1 each.

    Returns:
        An observation without the batch dimension.
    """
    first = steps[0].obs
    if isinstance(first, dict):
        parts = [step.obs for step in steps if isinstance(step.obs, dict)]
        return {name: _typical(torch.cat([part[name] for part in parts])) for name in first}
    return _typical(torch.cat([step.obs for step in steps if isinstance(step.obs, Tensor)]))


def _typical(obs: Tensor) -> Tensor:
    """Return the most frequent entry of `obs [T, ...]`, or the mean of floats."""
    if obs.is_floating_point():
        return obs.mean(0)
    distinct, counts = obs.flatten(1).unique(dim=0, return_counts=True)
    return distinct[counts.argmax()].view(obs.shape[1:])


def _occlude(obs: Obs, typical: Obs, row: int) -> None:
    """Replace the observation of one row of a batch, in place."""
    if isinstance(obs, dict) and isinstance(typical, dict):
        for name, part in obs.items():
            part[row] = typical[name]
    elif isinstance(obs, Tensor) and isinstance(typical, Tensor):
        obs[row] = typical
