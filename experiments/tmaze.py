"""Train an agent on the T-Maze, and film what it remembers.

python experiments/tmaze.py
python experiments/tmaze.py --env.active --env.max-length 100
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Self

from agents import AgentConfig, ExpireSpanConfig, RecurrentConfig
from envs.tmaze import TMazeOptions
from experiments.command_line.script import script
from experiments.training.command_line import training_command
from experiments.training.experiment import Experiment
from rl_expire.learning.curriculum import Level, ladder
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig


@dataclass(frozen=True)
class TMaze(Experiment):
    """Train an agent on the T-Maze, evaluate it, and film what it remembers."""

    env: TMazeOptions = field(default_factory=TMazeOptions)
    """The environment."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, reconstruct=10.0))
    """The agent and its memory. The reconstruction loss makes states encode the sign before the
    reward shows that it matters."""
    train: TrainConfig = field(
        default_factory=partial(TrainConfig, num_envs=256, rollout_length=16)
    )
    """Sizes and budget of training. A sign is remembered by its looks, which need no gradient from
    later steps, so rollouts are short, and many environments act at once."""
    learning: LearningConfig = field(default_factory=partial(LearningConfig, entropy_start=0.1))
    """When the task counts as learned. Short passive mazes teach to walk right at once; it takes a
    larger entropy bonus to find out afterwards that going left to look pays."""

    env_id: ClassVar[str] = "RLExpire/TMaze-v0"
    level: ClassVar[tuple[str, ...]] = ("max_length", "min_length")
    difficulty: ClassVar[str] = "length"
    scored_at: ClassVar[tuple[int, ...]] = (10, 50, 100, 250, 500, 1000)

    def with_agent(self, agent: AgentConfig) -> Self:
        """Return these defaults for another agent; only gradients train recurrent states."""
        changed = super().with_agent(agent)
        if not isinstance(agent, RecurrentConfig):
            return changed
        sizes = {"num_envs": 64, "rollout_length": 32, "longest_rollout": 256}
        return replace(changed, train=replace(self.train, **sizes))

    def levels(self) -> list[Level]:
        """Return levels of growing length, each with the harder half of its lengths.

        An agent that has to go and look learns first, in the shortest mazes, what a sign that it
        sees anyway is good for: before that, looking brings nothing.
        """
        env, config = self.env, self.curriculum
        lengths = ladder(config.start, env.max_length, config.growth)
        levels = [self._level(length, env.active) for length in lengths[:-1]]
        task = {"min_length": env.min_length, "max_length": env.max_length, "active": env.active}
        levels.append(Level(env.max_length, task))
        if not env.active:
            return levels
        return [self._level(lengths[0], active=False), replace(levels[0], new=True), *levels[1:]]

    def _level(self, length: int, active: bool) -> Level:
        """Return the level with mazes of up to `length`."""
        shortest = length // 2 + 1
        return Level(length, {"min_length": shortest, "max_length": length, "active": active})


if __name__ == "__main__":
    script(training_command(TMaze))
