"""Learn the Portal maze: find out, room by room, which door leads on, and remember it.

python experiments/portal.py
python experiments/portal.py --env.rooms 5 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from experiment import Experiment, command_line

from agents import AgentConfig, ExpireSpanConfig
from rl_expire.curriculum import CurriculumConfig
from rl_expire.governor import LearningConfig


@dataclass(frozen=True)
class PortalOptions:
    """The environment, RLExpire/Portal-v0."""

    rooms: int = 10
    """Rooms in a row; training gets there by a curriculum. The paper has 50."""
    colours: int = 6
    """Colours that doors are drawn from."""
    room_length: int = 2
    """Columns of a room."""
    distinct: bool = True
    """Whether every room of a maze looks different."""
    step_limit: int | None = None
    """Steps of an episode; by default a third more than perfect memory needs on average."""
    view_size: int = 5
    """Side of the agent's square view, odd."""


@dataclass(frozen=True)
class Portal(Experiment):
    """Train an agent on the Portal maze, evaluate it, and film what it remembers."""

    env: PortalOptions = field(default_factory=PortalOptions)
    """The environment."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, layers=2))
    """The agent with its memory. Where a door has led shows only after it; the first layer puts
    the two together, and the second remembers it."""
    curriculum: CurriculumConfig = field(
        default_factory=partial(CurriculumConfig, start=1, advance_at=0.93)
    )
    """How the number of rooms grows while training."""
    learning: LearningConfig = field(default_factory=partial(LearningConfig, solved_at=0.96))
    """When the task counts as learned: its measure is the share of what perfect memory gets."""

    env_id: ClassVar[str] = "RLExpire/Portal-v0"
    level: ClassVar[tuple[str, ...]] = ("rooms",)
    difficulty: ClassVar[str] = "rooms"
    scored_at: ClassVar[tuple[int, ...]] = (2, 5, 10, 20)
    measure: ClassVar[str] = "share"


if __name__ == "__main__":
    command_line(Portal)
