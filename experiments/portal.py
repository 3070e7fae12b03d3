"""Learn the Portal maze: find out, room by room, which door leads on, and remember it.

python experiments/portal.py
python experiments/portal.py --env.rooms 5 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from agents import AgentConfig, ExpireSpanConfig
from envs.portal import PortalOptions
from experiments.command_line.script import script
from experiments.training.command_line import training_command
from experiments.training.experiment import Experiment
from rl_expire.learning.curriculum import CurriculumConfig
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig


@dataclass(frozen=True)
class Portal(Experiment):
    """Train an agent on the Portal maze, evaluate it, and film what it remembers."""

    env: PortalOptions = field(default_factory=PortalOptions)
    """The environment."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, layers=2, last_obs=True))
    """The agent and its memory. Where a door leads is seen one step later, so each state also holds
    the previous observation; the first layer combines the two, the second remembers the result."""
    train: TrainConfig = field(
        default_factory=partial(TrainConfig, num_envs=64, longest_rollout=128)
    )
    """Sizes and budget of training. A door and the next visit to it must be in one rollout for the
    gradient to reach the memory of the door."""
    curriculum: CurriculumConfig = field(
        default_factory=partial(CurriculumConfig, start=1, growth=1.1, advance_at=0.88)
    )
    """How the number of rooms grows during training: one at a time."""
    learning: LearningConfig = field(
        default_factory=partial(
            LearningConfig,
            solved_at=0.94,
            entropy_start=0.01,
            entropy_end=0.002,
            rate_end=0.5,
            patience=300_000,
        )
    )
    """When the task counts as learned, measured by the share of perfect memory's return."""
    ppo: PPOConfig = field(
        default_factory=partial(PPOConfig, gamma=0.97, gae_lambda=0.85, value_cost=2.0)
    )
    """The learner of the policy. A door decides about the next few steps: discounts are short. What
    a room is worth tells what has been found out there, so values count for more."""

    env_id: ClassVar[str] = "RLExpire/Portal-v0"
    level: ClassVar[tuple[str, ...]] = ("rooms",)
    difficulty: ClassVar[str] = "rooms"
    scored_at: ClassVar[tuple[int, ...]] = (2, 5, 10, 20)
    measure: ClassVar[str] = "share"


if __name__ == "__main__":
    script(training_command(Portal))
