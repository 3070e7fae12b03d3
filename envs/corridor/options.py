"""Options of the Corridor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.array_env.options import check_integers, check_range
from envs.minigrid_view import check_view_size

MAX_LENGTH = 100_000_000  # columns and step limits stay within 32 bits
MAX_CUES = 64  # their colours are bits of one 64-bit draw


@dataclass(frozen=True)
class CorridorOptions:
    """Options of the environment RLExpire/Corridor-v0.

    Raises:
        ValueError: If an option is impossible; the message names it and the remedy.
    """

    min_length: int = 3
    """Shortest corridor, in columns from the start to the first junction."""
    max_length: int = 200
    """Longest corridor; lengths are drawn uniformly from both and all between."""
    num_cues: int = 1
    """Number of balls to remember, and of junctions to choose at."""
    distractors: float = 0.0
    """Probability of a meaningless ball beside each column between the cues and the junctions."""
    wrong_reward: float = 0.0
    """Reward for taking a ball of the wrong colour."""
    view_size: int = 5
    """Side of the agent's square view, in cells; odd, at least 3."""
    walkway: bool = True
    """Carry the agent to the first junction, so that it cannot store notes in the way it walks."""

    def __post_init__(self) -> None:
        """Check every option."""
        if not 0.0 <= self.distractors <= 1.0:
            raise ValueError(f"distractors={self.distractors} is not a probability: give 0 to 1")
        if not np.isfinite(self.wrong_reward):
            raise ValueError(
                f"wrong_reward={self.wrong_reward} is not finite: give a finite number"
            )
        check_view_size(self.view_size)
        check_integers(self, "min_length", "max_length", "num_cues")
        check_range(self, "num_cues", 1, MAX_CUES)
        least = self.num_cues + 1  # at which the first junction comes after the last cue
        if self.min_length < least:
            raise ValueError(
                f"min_length={self.min_length} is too short for num_cues={self.num_cues}: "
                f"give min_length >= {least}"
            )
        if self.max_length < self.min_length:
            raise ValueError(
                f"max_length={self.max_length} is below min_length={self.min_length}: "
                f"give max_length >= {self.min_length}"
            )
        if self.max_length > MAX_LENGTH:
            raise ValueError(f"max_length={self.max_length} is too long: give at most {MAX_LENGTH}")
