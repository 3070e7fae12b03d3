"""Train an agent to remember where which colours collided last.

python experiments/collision.py
python experiments/collision.py --env.length 2000 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import log
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
        default_factory=partial(ExpireSpanConfig, last_action=False, reconstruct=1.0)
    )
    """The agent and its memory. An agent that saw its last action, which is its last answer, could
    use it as a notebook. The reconstruction loss makes states encode places and colours, before the
    reward shows what matters."""
    train: TrainConfig = field(default_factory=partial(TrainConfig, num_envs=256))
    """Sizes and budget of training."""
    curriculum: CurriculumConfig = field(
        default_factory=partial(CurriculumConfig, start=64, growth=1.4, advance_at=0.9)
    )
    """How lengths grow during training. An agent that knows nothing but the last collision answers
    0.87 of the questions of 500 frames rightly, and should not pass for having learned the task."""
    learning: LearningConfig = field(
        default_factory=partial(LearningConfig, solved_at=0.95, entropy_start=0.1, entropy_end=0.03)
    )
    """When the task counts as learned, measured by the share of questions answered rightly. A wrong
    answer given with confidence is hard to unlearn, so the entropy bonus is larger."""
    ppo: PPOConfig = field(
        default_factory=partial(
            PPOConfig,
            learning_rate=1e-3,
            minibatches=8,
            gamma=0.01,
            max_grad_norm=1.0,
            stop_kl=0.05,
        )
    )
    """The learner of the policy. An answer is rewarded at once and changes nothing that follows, so
    rewards to come do not count."""

    env_id: ClassVar[str] = "RLExpire/Collision-v0"
    level: ClassVar[tuple[str, ...]] = ("length",)
    difficulty: ClassVar[str] = "length"
    scored_at: ClassVar[tuple[int, ...]] = (500, 1000, 2000, 4000, 8000, 16_000)
    measure: ClassVar[str] = "share"

    def levels(self) -> list[Level]:
        """Return levels of growing length, in arenas that grow with it.

        Collisions are rarer in a larger arena. The first lessons have several of them in little
        time, so that the last one is not the answer to most questions; from then on they lie
        further and further apart.
        """
        env, config = self.env, self.curriculum
        lengths = ladder(config.start, env.length, config.growth)
        levels = []
        for length in lengths[:-1]:
            progress = log(length / lengths[0]) / log(env.length / lengths[0])
            side = MIN_SIZE * (env.size / MIN_SIZE) ** progress
            levels.append(Level(length, {"length": length, "size": 2 * round(side / 2)}))
        return [*levels, Level(env.length, {"length": env.length, "size": env.size})]


if __name__ == "__main__":
    script(training_command(Collision))
