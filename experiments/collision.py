"""Train an agent to remember where which colours collided last.

python experiments/collision.py
python experiments/collision.py --env.length 2000 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import sqrt
from typing import ClassVar

from agents import AgentConfig, ExpireSpanConfig
from envs.collision import CollisionOptions
from envs.collision.options import MIN_SIZE
from experiments.command_line.script import script
from experiments.training.command_line import training_command
from experiments.training.experiment import Experiment
from rl_expire.learning.curriculum import CurriculumConfig, Level, ladder
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig


@dataclass(frozen=True)
class Collision(Experiment):
    """Train an agent on the Collision task, evaluate it, and film what it remembers."""

    env: CollisionOptions = field(default_factory=CollisionOptions)
    """The environment."""
    agent: AgentConfig = field(
        default_factory=partial(ExpireSpanConfig, last_action=False, reconstruct=10.0)
    )
    """The agent and its memory. An agent that saw its last action, which is its last answer, could
    use it as a notebook. The reconstruction loss makes states encode places and colours, before the
    reward shows what matters."""
    train: TrainConfig = field(default_factory=partial(TrainConfig, num_envs=256))
    """Sizes and budget of training."""
    curriculum: CurriculumConfig = field(
        default_factory=partial(CurriculumConfig, start=32, growth=1.5, advance_at=0.85)
    )
    """How lengths grow during training."""
    learning: LearningConfig = field(default_factory=partial(LearningConfig, solved_at=0.95))
    """When the task counts as learned, measured by the share of questions answered rightly."""
    ppo: PPOConfig = field(default_factory=partial(PPOConfig, gamma=0.01, minibatches=8))
    """The learner of the policy. An answer is rewarded at once and changes nothing that follows, so
    rewards to come do not count."""

    env_id: ClassVar[str] = "RLExpire/Collision-v0"
    level: ClassVar[tuple[str, ...]] = ("length",)
    difficulty: ClassVar[str] = "length"
    scored_at: ClassVar[tuple[int, ...]] = (500, 1000, 2000, 4000, 8000, 16_000)
    measure: ClassVar[str] = "share"

    def levels(self) -> list[Level]:
        """Return levels of growing length, in arenas that grow with it.

        The number of collisions in a time falls with the area of the arena. So an episode of a
        lesson has as many of them as one of the full task, in less time, from the smallest arena
        on; before, there are fewer.
        """
        env, config = self.env, self.curriculum
        levels = []
        for length in ladder(config.start, env.length, config.growth):
            side = 2 * round(env.size * sqrt(length / env.length) / 2)
            size = min(env.size, max(MIN_SIZE, side))
            levels.append(Level(length, {"length": length, "size": size}))
        task = {"length": env.length, "size": env.size}
        return [*levels[:-1], Level(env.length, task)]


if __name__ == "__main__":
    script(training_command(Collision))
