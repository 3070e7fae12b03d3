"""Train peers in turns until each has solved the task or used up its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiments.benchmark.peer import Peer, train_for
from rl_expire.runs.progress import clock

SOLVED_AT = 0.99
"""Success rate in the longest corridors from which on the task counts as solved."""


@dataclass
class Attempt:
    """What a peer has reached so far.

    Attributes:
        steps: environment steps.
        seconds: time spent on training, without what measuring success takes.
        success: success rate in the longest corridors, when last measured.
    """

    steps: int = 0
    seconds: float = 0.0
    success: float = 0.0

    @property
    def solved(self) -> bool:
        """Whether the task was solved when last measured."""
        return self.success >= SOLVED_AT


def solve_in_turns(
    peers: Mapping[str, Peer], limit: float, turn: float, say: Callable[[str], None]
) -> dict[str, Attempt]:
    """Train each peer until it solves the task or has trained for `limit` seconds.

    Args:
        peers: untrained peers by name.
        limit: seconds of training for each; the update that exceeds them is its last.
        turn: seconds between two measurements of success, at least.
        say: called with a line after each measurement.

    Returns:
        The attempt of each peer.
    """
    attempts = {name: Attempt() for name in peers}
    while True:
        training = [n for n, a in attempts.items() if not a.solved and a.seconds < limit]
        if not training:
            return attempts
        for name in training:
            attempt = attempts[name]
            part = train_for(peers[name], min(turn, limit - attempt.seconds))
            attempt.steps += part.steps
            attempt.seconds += part.seconds
            attempt.success = peers[name].success()
            took = f"{clock(attempt.seconds)}, {attempt.steps:,} steps"
            say(f"{name}: {took}, success {attempt.success:.3f}")
