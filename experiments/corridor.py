"""Learn the Corridor with a memory that forgets, and see what it keeps.

python experiments/corridor.py
python experiments/corridor.py --env.max-length 50 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from experiment import Experiment, command_line

from agents import AgentConfig, ExpireSpanConfig


@dataclass(frozen=True)
class CorridorOptions:
    """The environment, RLExpire/Corridor-v0."""

    min_length: int = 3
    """Shortest corridor, in columns."""
    max_length: int = 200
    """Longest corridor; training gets there by a curriculum."""
    num_cues: int = 1
    """Balls to remember, and junctions to choose at."""
    distractors: float = 0.0
    """Chance of a meaningless ball beside each column on the way."""
    wrong_reward: float = 0.0
    """Reward of a wrong choice."""
    view_size: int = 5
    """Side of the agent's square view, odd."""
    walkway: bool = True
    """Whether the agent is carried to the first junction: one that walks can leave itself notes in
    how it walks, in place of a memory."""


@dataclass(frozen=True)
class Corridor(Experiment):
    """Train an agent on the Corridor, evaluate it, and film what it remembers."""

    env: CorridorOptions = field(default_factory=CorridorOptions)
    """The environment."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, last_action=False))
    """The agent with its memory. On the walkway actions have no effect: it could say anything with
    them, and read it in its last action."""

    env_id: ClassVar[str] = "RLExpire/Corridor-v0"
    level: ClassVar[tuple[str, str]] = ("max_length", "length")

    def easiest(self) -> int:
        """The shortest corridor: a curriculum cannot start below it."""
        return self.env.min_length


if __name__ == "__main__":
    command_line(Corridor)
