"""Train an agent on the Corridor, and film what it remembers.

python experiments/corridor.py
python experiments/corridor.py --env.max-length 50 --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Self

from agents import AgentConfig, ExpireSpanConfig, RecurrentConfig
from envs.corridor import CorridorOptions
from experiments.command_line.script import script
from experiments.training.command_line import training_command
from experiments.training.experiment import Experiment
from rl_expire.learning.curriculum import Level, ladder
from rl_expire.learning.trainer import TrainConfig


@dataclass(frozen=True)
class Corridor(Experiment):
    """Train an agent on the Corridor, evaluate it, and film what it remembers."""

    env: CorridorOptions = field(default_factory=CorridorOptions)
    """The environment."""
    agent: AgentConfig = field(
        default_factory=partial(ExpireSpanConfig, last_action=False, reconstruct=10.0)
    )
    """The agent and its memory. On the walkway actions have no effect, so an agent that saw its
    last action could use it as a notebook. The reconstruction loss makes states encode everything
    they see, a small ball as well as walls, before the reward shows what matters."""

    train: TrainConfig = field(
        default_factory=partial(TrainConfig, num_envs=256, rollout_length=16)
    )
    """Sizes and budget of training. A cue is remembered by its looks, which need no gradient from
    later steps, so rollouts are short, and many environments act at once. Several cues have to be
    told apart: --train.num-envs 128 --train.rollout-length 32 learns that in half of the steps."""

    env_id: ClassVar[str] = "RLExpire/Corridor-v0"
    level: ClassVar[tuple[str, ...]] = ("max_length", "min_length")
    difficulty: ClassVar[str] = "length"
    measure: ClassVar[str] = "share"
    scored_at: ClassVar[tuple[int, ...]] = (25, 50, 100, 200, 400, 1000, 3000, 10_000, 100_000)
    compared: ClassVar[tuple[str, ...]] = (
        "expire-span",
        *(f"transformer-xl:{window}" for window in (8, 32, 128, 256)),
        "lstm",
        "memoryless",
    )
    compared_for: ClassVar[int | None] = 4_000_000

    def with_agent(self, agent: AgentConfig) -> Self:
        """Return these defaults for another agent.

        Only gradients train a recurrent state to hold something, and they reach back no farther
        than one rollout. LSTM and GRU therefore get rollouts as long as the longest corridor.
        """
        changed = super().with_agent(agent)
        if not isinstance(agent, RecurrentConfig):
            return changed
        return replace(changed, train=replace(self.train, **AS_LONG_AS_CORRIDORS))

    def levels(self) -> list[Level]:
        """Return levels with one more cue each, in the shortest corridors, then longer ones.

        Lessons are drawn from the harder half of each level, by which it is judged. In the shortest
        corridors cue and choice are in view together: what to do with a cue is learned before how
        to remember it.
        """
        env, config = self.env, self.curriculum
        levels = []
        for cues in range(1, env.num_cues + 1):
            shortest = max(SHORTEST, cues + 1)
            start = max(config.start, shortest)
            goal = env.max_length if cues == env.num_cues else start
            for step, length in enumerate(ladder(start, goal, config.growth)):
                least = max(shortest, length // 2 + 1)
                options = {"num_cues": cues, "min_length": least, "max_length": length}
                levels.append(Level(length, options, new=step == 0))
        task = {name: getattr(env, name) for name in levels[-1].options}
        return [*levels[:-1], replace(levels[-1], options=task)]


AS_LONG_AS_CORRIDORS = {"num_envs": 64, "rollout_length": 32, "longest_rollout": 256}
"""Sizes of training for a recurrent agent."""
SHORTEST = 3
"""Length of the shortest corridor that training begins with."""

if __name__ == "__main__":
    script(training_command(Corridor))
