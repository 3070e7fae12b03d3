"""The Portal's ceiling, exactly: what perfect memory returns on average."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def expected_return(rooms: int, crossing: int, step_limit: int) -> float:
    """Computes the mean return of an agent that never makes the same mistake twice.

    It loses no step, and guesses in a room of which it knows nothing. The guess is wrong with
    probability 1/2, takes it back to the first room, and is paid for by crossing rooms 1 to k once
    more, the right door of room k included. So room k, counted from 1, is passed after

        crossing * sum over j = 1..k of (1 + j * W_j)

    steps, with independent W_j that are 0 or 1 with probability 1/2 each; and the return is the
    number of rooms passed within the limit, on average the sum over k of the probability that this
    is at most `step_limit`. No agent can do better: nothing about a door can be known before it or
    its neighbour has been tried, and every room passed needs at least one crossing.

    Args:
        rooms: Rooms in a row.
        crossing: Steps from the entrance of a room through a door.
        step_limit: Steps of an episode.

    Returns:
        The mean return, at most `rooms`.
    """
    most = step_limit // crossing
    # Probability of each number of crossings so far; what is beyond the limit is dropped.
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
