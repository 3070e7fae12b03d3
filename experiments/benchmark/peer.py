"""What a peer is: a learner on a Corridor that makes one update after the other, and is timed."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from experiments.corridor import Corridor
from experiments.scoring.whole_task import at_hardest
from rl_expire.vector.make import make_envs

EPISODES = 200
"""Episodes by which success at the hardest level is measured."""


@dataclass(frozen=True)
class PeerTask:
    """What all peers train on.

    Attributes:
        length: longest corridor, in columns.
        num_envs: corridors stepped together, N.
        seed: seed of weights and corridors.
    """

    length: int
    num_envs: int
    seed: int

    def options(self) -> dict[str, Any]:
        """Return the environment's keyword arguments for the full task."""
        return Corridor().env_options() | {"max_length": self.length}

    def make(self) -> Any:
        """Return N corridors of the full task.

        Raises:
            ValueError: the length is impossible.
        """
        return make_envs(Corridor.env_id, self.num_envs, self.options())

    def make_hardest(self) -> Any:
        """Return N corridors that are all of the greatest length."""
        options = at_hardest(self.options(), Corridor.level)
        return make_envs(Corridor.env_id, self.num_envs, options)


@dataclass(frozen=True)
class Recipe:
    """How much a peer learns from what it sees.

    Attributes:
        rollout: steps of each environment in an update.
        minibatches: minibatches in a pass over a rollout.
        passes: passes over a rollout, at most.
    """

    rollout: int
    minibatches: int
    passes: int


class Peer(Protocol):
    """A learner to compare."""

    curriculum: bool
    """Whether it may begin with short corridors when it trains until the task is solved."""

    def recipe(self) -> Recipe:
        """Return how its next update is made."""
        ...

    def update(self) -> int:
        """Make one update; return the environment steps that it took."""
        ...

    def passes(self) -> float:
        """Return the number of passes over rollouts that all its updates have made."""
        ...

    def success(self) -> float:
        """Return the success rate of greedy play in `EPISODES` of the longest corridors."""
        ...


@dataclass(frozen=True)
class Slice:
    """A stretch of training.

    Attributes:
        steps: environment steps.
        seconds: how long they took.
        passes: passes over a rollout that an update made, on average.
    """

    steps: int
    seconds: float
    passes: float

    @property
    def speed(self) -> float:
        """Environment steps per second."""
        return self.steps / self.seconds


def train_for(peer: Peer, seconds: float) -> Slice:
    """Make updates, one at least, until `seconds` have passed."""
    steps, updates, passes, start = 0, 0, peer.passes(), perf_counter()
    while True:
        steps += peer.update()
        updates += 1
        elapsed = perf_counter() - start
        if elapsed >= seconds:
            return Slice(steps, elapsed, (peer.passes() - passes) / updates)
