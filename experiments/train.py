"""Train any agent on any Gymnasium environment with a Discrete action space.

python experiments/train.py --env-id MiniGrid-MemoryS13Random-v0
python experiments/train.py --env-id CartPole-v1 --wrappers envs.masked:MaskVelocity --agent lstm
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import tyro

from agents import AgentConfig, ExpireSpanConfig
from experiments.command_line.script import script
from experiments.scoring.whole_task import EvalConfig
from experiments.training.command_line import training_command
from experiments.training.experiment import GROUPS, Experiment
from rl_expire.learning.curriculum import CurriculumConfig, Level
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig
from rl_expire.vector.make import EnvConfig, spec_of

PLAIN_NAME = tyro.conf.arg(prefix_name=False)
MINIGRID_SOLVED = 1e-6
"""A MiniGrid episode has succeeded if it brought any reward: there is some at the goal only."""


@dataclass(frozen=True)
class AnyEnv:
    """The environment."""

    env_id: Annotated[str, PLAIN_NAME] = ""
    """Its id, such as CartPole-v1; `module:ID` imports the module that registers it first."""
    option: tuple[str, ...] = ()
    """Its keyword arguments, each as NAME=VALUE; the value is JSON, or else a string."""
    wrappers: Annotated[tuple[str, ...], PLAIN_NAME] = ()
    """Wrappers as module:Class, the innermost first; any function of an environment will do."""
    vectorization: Annotated[Literal["auto", "native", "sync", "async"], PLAIN_NAME] = "auto"
    """`native`: its own batched form. `sync`: one environment after the other. `async`: each in a
    process of its own. `auto`: native where there is one and nothing needs another, else sync."""
    solved_return: Annotated[float | None, PLAIN_NAME] = None
    """Return at which an episode is a success, where the environment's info has no `success` or
    `is_success`. By default any reward at all in MiniGrid, elsewhere the registered
    `reward_threshold`; without one there is no success, and the run takes all its steps."""

    def __post_init__(self) -> None:
        said = (f"{n}={json.dumps(v)}" for n, v in self.options().items())
        object.__setattr__(self, "option", tuple(said))  # so that equal options are equal words
        if self.vectorization == "native" and self.wrappers:
            raise ValueError("--vectorization native takes no --wrappers: choose sync or async")

    def options(self) -> dict[str, Any]:
        """Return the environment's keyword arguments."""
        return dict(_named(word) for word in self.option)


def _named(word: str) -> tuple[str, Any]:
    """Return name and value of `NAME=VALUE`."""
    name, equals, value = word.partition("=")
    if not (equals and name.isidentifier()):
        raise ValueError(f"--env.option {word} is no NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@dataclass(frozen=True)
class Faults:
    """What happens when an environment raises, hangs, dies, or answers what makes no sense."""

    on_env_fault: Annotated[Literal["stop", "restart"], PLAIN_NAME] = "stop"
    """`stop`: save what was learned and end with exit code 1. `restart`: build that environment
    anew, with its episode truncated; `env_faults` in metrics.jsonl counts how often."""
    most_env_faults: Annotated[int, PLAIN_NAME] = 3
    """Faults of one environment in a row, with no episode ended in between, that it is rebuilt
    after; one more stops the run."""
    env_timeout: Annotated[float, PLAIN_NAME] = 60.0
    """Seconds after which an environment counts as hanging, with --vectorization async."""

    def __post_init__(self) -> None:
        if self.most_env_faults < 1:
            raise ValueError(f"--most-env-faults is {self.most_env_faults}: choose 1 or more")
        if not self.env_timeout > 0:
            raise ValueError(f"--env-timeout is {self.env_timeout}: choose a number above 0")


@dataclass(frozen=True)
class Train(Experiment):
    """Train an agent on any Gymnasium environment, evaluate it, and film what it remembers."""

    env: AnyEnv = field(default_factory=AnyEnv)
    """The environment."""
    faults: Faults = field(default_factory=Faults)
    """What happens when an environment fails."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, reconstruct=10.0))
    """The agent with its memory. Of a large observation little may matter, and nothing says what
    until the task is half solved; states that tell all of it leave nothing out."""
    train: TrainConfig = field(
        default_factory=partial(
            TrainConfig, total_steps=10_000_000, num_envs=32, rollout_length=128
        )
    )
    """The training run; it ends once the task is solved, and what can be forgotten forgotten."""
    learning: LearningConfig = field(
        default_factory=partial(LearningConfig, solved_at=0.97, entropy_end=0.02, rate_end=1.0)
    )
    """When the task counts as learned. There is one level, at which learning rate and entropy bonus
    stay as they begin until then: where to look has to be found out by accident."""
    ppo: PPOConfig = field(
        default_factory=partial(PPOConfig, gamma=0.997, epochs=4, normalize_values=True)
    )
    """The learner of the policy."""
    forgetting: ForgettingConfig = field(default_factory=partial(ForgettingConfig, steps=1_000_000))
    """The learner of the lifetimes."""
    eval: EvalConfig = field(default_factory=partial(EvalConfig, episodes=100, num_envs=16))
    """The evaluation after training."""
    curriculum: Annotated[CurriculumConfig, tyro.conf.Suppress] = field(
        default_factory=CurriculumConfig
    )

    env_id: ClassVar[str] = "any environment"
    level: ClassVar[tuple[str, ...]] = ()
    difficulty: ClassVar[str | None] = None
    scored_at: ClassVar[tuple[int, ...]] = ()
    groups: ClassVar[tuple[str, ...]] = (*GROUPS, "faults")

    def environment(self) -> str:
        """Return the environment's id."""
        return self.env.env_id

    def levels(self) -> list[Level]:
        """Return the one there is."""
        return [Level(1, {})]

    def env_options(self) -> dict[str, Any]:
        """Return the environment's keyword arguments."""
        return self.env.options()

    def env_config(self) -> EnvConfig:
        """Return how environments are made.

        Raises:
            ValueError: the environment is unknown.
        """
        if not self.env.env_id:
            raise ValueError("--env-id is missing: give one, such as CartPole-v1")
        restart = self.faults.on_env_fault == "restart"
        if restart and self.env.vectorization == "native":
            raise ValueError(
                "--on-env-fault restart cannot rebuild one environment of a native batch: "
                "choose --vectorization sync or async"
            )
        return EnvConfig(
            self.env.wrappers,
            self.env.vectorization,
            restart,
            self.faults.most_env_faults,
            self.faults.env_timeout,
            self._solved_return(),
        )

    def _solved_return(self) -> float | None:
        spec = spec_of(self.env.env_id)
        if self.env.solved_return is not None:
            return self.env.solved_return
        return MINIGRID_SOLVED if spec.id.startswith("MiniGrid-") else spec.reward_threshold

    @classmethod
    def is_of(cls, entry: Mapping[str, Any]) -> bool:
        """Whether a run whose `config.json` has this entry `env` is one of this experiment."""
        return not entry["level"]

    def env_of(self, entry: Mapping[str, Any]) -> AnyEnv:
        """Return the options of the environment that this entry `env` tells."""
        env_config = EnvConfig.of(entry)
        return AnyEnv(
            env_id=entry["id"],
            option=tuple(f"{n}={json.dumps(v)}" for n, v in entry["options"].items()),
            wrappers=env_config.wrappers,
            vectorization=env_config.vectorization,
            solved_return=env_config.solved_return,
        )

    def flag(self, group: str, name: str) -> str:
        """Return what an option is called on the command line."""
        unprefixed = group == "faults" or (group == "env" and name != "option")
        return "--" + name.replace("_", "-") if unprefixed else super().flag(group, name)


if __name__ == "__main__":
    script(training_command(Train))
