"""Options of the Portal maze."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from envs.array_env.options import check_integers, check_range
from envs.minigrid_view import DOORS, SIGNS, check_view_size

MAX_ROOMS = 500  # there are more looks of a room than that, so every room can look different


@dataclass(frozen=True)
class PortalOptions:
    """Options of the environment RLExpire/Portal-v0.

    Raises:
        ValueError: If an option is impossible; the message names it and the remedy.
    """

    rooms: int = 10
    """Number of rooms in a row. The paper has 50."""
    colours: int = 6
    """Number of colours that doors are drawn from."""
    room_length: int = 2
    """Length of a room, in columns."""
    distinct: bool = True
    """Make every room of a maze look different."""
    step_limit: int | None = None
    """Steps of an episode; by default a third more than perfect memory needs on average."""
    view_size: int = 5
    """Side of the agent's square view, in cells; odd, at least 3."""

    def __post_init__(self) -> None:
        """Check every option."""
        check_integers(self, "rooms", "colours", "room_length")
        check_range(self, "colours", 2, len(DOORS))
        check_range(self, "room_length", 2)
        if self.step_limit is not None:
            check_integers(self, "step_limit")
            check_range(self, "step_limit", 1)
        check_view_size(self.view_size)
        check_range(self, "rooms", 1, min(MAX_ROOMS, self.looks) if self.distinct else MAX_ROOMS)

    @property
    def looks(self) -> int:
        """Number of combinations of a sign and two doors of different colours."""
        return len(SIGNS) * self.colours * (self.colours - 1)

    @property
    def crossing(self) -> int:
        """Steps from the entrance of a room through one of its doors."""
        return self.room_length + 1

    @property
    def episode_length(self) -> int:
        """Steps of an episode: `step_limit`, or its default."""
        if self.step_limit is not None:
            return self.step_limit
        return ceil(4 / 3 * self.crossing * (self.rooms + self.rooms * (self.rooms + 1) / 4))
