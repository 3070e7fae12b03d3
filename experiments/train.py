"""Train any agent on any Gymnasium environment.

python experiments/train.py --env-id MiniGrid-MemoryS13Random-v0
python experiments/train.py --env-id CartPole-v1 --wrappers envs.masked:MaskVelocity --agent lstm
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Annotated, Any, ClassVar, Literal

import tyro

from agents import AgentConfig, ExpireSpanConfig
from experiments.command_line.script import script
from experiments.scoring.whole_task import EvalConfig
from experiments.training.command_line import training_command
from experiments.training.experiment import GROUPS, Experiment
from rl_expire.learning.curriculum import CurriculumConfig, Level
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig
from rl_expire.validate import OptionError, check_range
from rl_expire.vector.make import EnvConfig, any_reward_is_success, find_spec
from rl_expire.vector.minigrid_success import ANY_REWARD

PYTHON = {"True": True, "False": False, "None": None}
"""What options mean that are written as in Python."""
PLAIN_NAME = tyro.conf.arg(prefix_name=False)


@dataclass(frozen=True)
class AnyEnv:
    """The environment."""

    env_id: Annotated[str, PLAIN_NAME] = ""
    """Registered id, such as CartPole-v1; `module:ID` imports the module that registers it."""
    option: tuple[str, ...] = ()
    """Keyword arguments, each as NAME=VALUE; the value is read as JSON, as True, False or None, or
    else as a string."""
    wrappers: Annotated[tuple[str, ...], PLAIN_NAME] = ()
    """Wrappers as module:Class, the innermost first; any callable that takes an environment."""
    vectorization: Annotated[Literal["auto", "native", "sync", "async"], PLAIN_NAME] = "auto"
    """`native`: the environment's own vector form. `sync`: step one environment after the other.
    `async`: run each in its own process. `auto`: native if there is one and neither wrappers nor
    restarts are asked for, else sync."""
    solved_return: Annotated[float | None, PLAIN_NAME] = None
    """Return from which an episode counts as a success, if the environment's info has no `success`
    or `is_success`; by default any reward in MiniGrid. Elsewhere success is then unknown, and the
    task is solved once the mean return comes as near to the registered `reward_threshold` as
    --learning.solved-at says. Without one, the run takes all its steps."""

    def __post_init__(self) -> None:
        """Write the arguments in one way, so that equal options are equal words."""
        words = tuple(f"{name}={json.dumps(value)}" for name, value in self.options().items())
        object.__setattr__(self, "option", words)
        if self.vectorization == "native" and self.wrappers:
            problem = "native takes no --wrappers: choose sync or async"
            raise OptionError(self, "vectorization", problem)

    def options(self) -> dict[str, Any]:
        """Return the environment's keyword arguments."""
        return dict(self._read(word) for word in self.option)

    def _read(self, word: str) -> tuple[str, Any]:
        """Return the name and the value of `NAME=VALUE`."""
        name, equals, value = word.partition("=")
        if not (equals and name.isidentifier()):
            raise OptionError(self, "option", f"{word} is no NAME=VALUE")
        try:
            return name, json.loads(value)
        except ValueError:
            return name, PYTHON.get(value, value)


@dataclass(frozen=True)
class Faults:
    """What to do when an environment raises, hangs, dies, or returns invalid data."""

    on_env_fault: Annotated[Literal["stop", "restart"], PLAIN_NAME] = "stop"
    """`stop`: save what was learned and exit with code 1. `restart`: rebuild that environment and
    truncate its episode; `env_faults` in metrics.jsonl counts these."""
    most_env_faults: Annotated[int, PLAIN_NAME] = 3
    """Consecutive faults of one environment, without a finished episode in between, after which it
    is still rebuilt; one more stops the run."""
    env_timeout: Annotated[float, PLAIN_NAME] = 60.0
    """Seconds without an answer after which an environment counts as hanging, if async."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "most_env_faults", least=1)
        check_range(self, "env_timeout", above=0)


@dataclass(frozen=True)
class Train(Experiment):
    """Train an agent on any Gymnasium environment, evaluate it, and film what it remembers."""

    env: AnyEnv = field(default_factory=AnyEnv)
    """The environment."""
    faults: Faults = field(default_factory=Faults)
    """What to do when an environment fails."""
    agent: AgentConfig = field(default_factory=partial(ExpireSpanConfig, reconstruct=10.0))
    """The agent and its memory. The reconstruction loss makes states encode the whole observation,
    since the reward shows what matters only once the task is half solved."""
    train: TrainConfig = field(
        default_factory=partial(
            TrainConfig,
            total_steps=10_000_000,
            num_envs=32,
            rollout_length=128,
            longest_rollout=512,
        )
    )
    """Sizes and budget of training, which ends once the task is solved and forgetting is done."""
    learning: LearningConfig = field(
        default_factory=partial(LearningConfig, solved_at=0.97, entropy_end=0.02, rate_end=1.0)
    )
    """When the task counts as learned. There is one level, so learning rate and entropy bonus stay
    at their first values until then, for exploration."""
    ppo: PPOConfig = field(
        default_factory=partial(PPOConfig, gamma=0.997, gae_lambda=None, epochs=4)
    )
    """The learner of the policy."""
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

    def id_of_env(self) -> str:
        """Return the environment's id."""
        return self.env.env_id

    def levels(self) -> list[Level]:
        """Return the only level."""
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
            raise OptionError(self.env, "env_id", "is missing: give one, such as CartPole-v1")
        restart = self.faults.on_env_fault == "restart"
        if restart and self.env.vectorization == "native":
            problem = (
                "restart cannot rebuild one environment of a native batch: "
                "choose --vectorization sync or async"
            )
            raise OptionError(self.faults, "on_env_fault", problem)
        return EnvConfig(
            self.env.wrappers,
            self.env.vectorization,
            restart,
            self.faults.most_env_faults,
            self.faults.env_timeout,
            _solved_return(self.env),
        )

    def reward_threshold(self) -> float | None:
        """Return the mean return of a solved task, for one whose success is unknown."""
        return find_spec(self.env.env_id).reward_threshold

    @classmethod
    def made(cls, entry: Mapping[str, Any]) -> bool:
        """Return whether a run is one of this task, by the entry `env` of its `config.json`."""
        return not entry["level"]

    def env_from(self, entry: Mapping[str, Any]) -> AnyEnv:
        """Return the environment's options from the entry `env` of a `config.json`."""
        env_config = EnvConfig.from_json(entry)
        return AnyEnv(
            env_id=entry["id"],
            option=tuple(f"{n}={json.dumps(v)}" for n, v in entry["options"].items()),
            wrappers=env_config.wrappers,
            vectorization=env_config.vectorization,
            solved_return=env_config.solved_return,
        )

    def flag(self, group: str, name: str) -> str:
        """Return the command-line option of a field."""
        unprefixed = group == "faults" or (group == "env" and name != "option")
        return "--" + name.replace("_", "-") if unprefixed else super().flag(group, name)


@lru_cache(maxsize=8)
def _solved_return(env: AnyEnv) -> float | None:
    """Return the return from which an episode is a success, where its info does not tell."""
    find_spec(env.env_id)  # raises if it is unknown, also where nothing is to be found out
    if env.solved_return is not None:
        return env.solved_return
    config = EnvConfig(wrappers=env.wrappers)
    return ANY_REWARD if any_reward_is_success(env.env_id, env.options(), config) else None


if __name__ == "__main__":
    script(training_command(Train))
