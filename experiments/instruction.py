"""Train an agent to carry out instructions that it heard among chatter, each at its place.

python experiments/instruction.py
python experiments/instruction.py --env.instructions 2 --env.withdrawn 0 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

from agents import AgentConfig, ExpireSpanConfig
from envs.instruction import InstructionOptions
from experiments.command_line.script import script
from experiments.training.command_line import training_command
from experiments.training.experiment import Experiment
from rl_expire.learning.curriculum import CurriculumConfig, Level, ladder
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig


@dataclass(frozen=True)
class Instruction(Experiment):
    """Train an agent on the Instruction task, evaluate it, and film what it remembers."""

    env: InstructionOptions = field(default_factory=InstructionOptions)
    """The environment."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, reconstruct=10.0))
    """The agent and its memory. The reconstruction loss makes states encode their sentence, word by
    word, before the reward shows which sentences matter."""
    train: TrainConfig = field(
        default_factory=partial(TrainConfig, num_envs=64, longest_rollout=128)
    )
    """Sizes and budget of training. An instruction and its place must be in one rollout for the
    gradient to reach the memory of the instruction."""
    curriculum: CurriculumConfig = field(default_factory=partial(CurriculumConfig, advance_at=0.85))
    """How distances grow during training."""
    learning: LearningConfig = field(
        default_factory=partial(
            LearningConfig,
            solved_at=0.95,
            entropy_start=0.1,
            entropy_end=0.01,
            rate_end=0.3,
            patience=500_000,
        )
    )
    """When the task counts as learned, measured by the share of instructions carried out. Only one
    step in ten offers a choice, so the entropy bonus, a mean over all steps, is larger."""
    ppo: PPOConfig = field(default_factory=partial(PPOConfig, gamma=0.95, gae_lambda=0.9))
    """The learner of the policy. A deed is rewarded at once, so discounts are short."""
    forgetting: ForgettingConfig = field(default_factory=partial(ForgettingConfig, alpha=0.05))
    """How lifetimes are learned, once the task is solved; most sentences need a short one."""

    env_id: ClassVar[str] = "RLExpire/Instruction-v0"
    level: ClassVar[tuple[str, ...]] = ("max_distance",)
    difficulty: ClassVar[str] = "distance"
    scored_at: ClassVar[tuple[int, ...]] = (50, 100, 200, 400, 1000)
    measure: ClassVar[str] = "share"

    def levels(self) -> list[Level]:
        """Return levels with withdrawals first, then more instructions, decoys, and distance.

        All but the last group are as short as possible: what to do with an instruction is learned
        before how to remember it. Withdrawals come first because they teach what not to do, which
        is easiest while the policy is still random.
        """
        env = self.env
        amounts = [(1, n, 0) for n in range(env.withdrawn + 1)]
        amounts += [(n, env.withdrawn, 0) for n in range(2, env.instructions + 1)]
        amounts += [(env.instructions, env.withdrawn, n) for n in range(1, env.decoys + 1)]
        levels = [self._level(*amount, 1, 1, new=True) for amount in amounts]
        shortest, goal = levels[-1].difficulty, env.max_distance
        start = max(shortest, self.curriculum.start)
        for distance in ladder(start, goal, self.curriculum.growth):
            least = max(1, env.min_distance * distance // goal)
            if distance > shortest:
                levels.append(self._level(*amounts[-1], least, distance, new=False))
        full = self._level(*amounts[-1], env.min_distance, goal, new=False)
        return [*levels, full] if levels[-1] != full else levels

    def _level(
        self, instructions: int, withdrawn: int, decoys: int, least: int, most: int, *, new: bool
    ) -> Level:
        """Return the level with these amounts and distances, or the nearest possible ones."""
        env, amounts = self.env, (instructions, withdrawn, decoys)
        names = ("instructions", "withdrawn", "decoys")
        options = dict(zip(names, amounts, strict=True), min_distance=least)
        size = replace(env, **options)
        most = min(max(most, size.first_arrival + 2 * size.visits), env.max_distance)
        return Level(most, {**options, "max_distance": most}, new=new)


if __name__ == "__main__":
    script(training_command(Instruction))
