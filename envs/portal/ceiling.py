"""The exact mean return of perfect memory in the Portal maze."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def expected_return(rooms: int, crossing: int, step_limit: int) -> float:
    """Return the mean return of an agent that never makes the same mistake twice.

    The agent wastes no step, and guesses in a room of which it knows nothing. A guess is wrong with
    probability 1/2, leads back to the first room, and costs one more crossing of each of the rooms
    1 to k, including the right door of room k. So room k, counted from 1, is passed after

        crossing * sum over j = 1..k of (1 + j * W_j)

    steps, with independent W_j that are 0 or 1 with probability 1/2 each. The return is the number
    of rooms passed within the limit; its mean is the sum over k of the probability that this number
    of steps is at most `step_limit`. No agent can do better: nothing is known about a door before
    it or its neighbour has been tried, and every room passed takes at least one crossing.

    Args:
        rooms: Number of rooms in a row.
        crossing: Steps from the entrance of a room through a door.
        step_limit: Steps of an episode.

    Returns:
        The mean return, at most `rooms`.
    """
    most = step_limit // crossing
    # Probability of each number of crossings so far; numbers beyond the limit are dropped.
    after = np.zeros(most + 1)
    after[0] = 1.0
    total = 0.0
    for room in range(1, rooms + 1):
        guessed, passed = after / 2, np.zeros_like(after)
        for crossings in (1, 1 + room):
            kept = max(0, most + 1 - crossings)
            passed[most + 1 - kept :] += guessed[:kept]
        after = passed
        total += after.sum()
    return float(total)
