"""What actors record for a trainer: finished episodes, and faults of environments."""

from __future__ import annotations

from rl_expire.learning.episode import Episode


class Record:
    """Episodes and faults that nobody has taken yet.

    Attributes:
        episodes: the episodes finished since they were last taken.
        faults: faults of environments that were rebuilt since they were last taken.
        tells_success: whether the info of any episode has told its success.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.episodes: list[Episode] = []
        self.faults: list[str] = []
        self.tells_success = False

    def take_episodes(self) -> list[Episode]:
        """Return the episodes finished since the last call."""
        episodes, self.episodes = self.episodes, []
        return episodes

    def take_faults(self) -> list[str]:
        """Return the faults of environments that were rebuilt since the last call."""
        faults, self.faults = self.faults, []
        return faults
