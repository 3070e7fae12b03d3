"""The options of a training command; a subclass a task adds its environment and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from agents import AgentConfig, ExpireSpanConfig
from experiments.command_line.errors import flag
from experiments.scoring.whole_task import EvalConfig
from rl_expire.learning.curriculum import CurriculumConfig, Level, ladder
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.schedule import LearningConfig
from rl_expire.learning.trainer import TrainConfig
from rl_expire.validate import OptionError, check_range, options_from_json
from rl_expire.vector.make import EnvConfig

GROUPS = ("train", "curriculum", "learning", "ppo", "forgetting", "eval")
"""Groups of options that every task has, besides `env` and `agent`."""


@dataclass(frozen=True)
class Experiment:
    """Options that every training command has; subclasses add `env`."""

    seed: int = 1
    """Seed of weights and environments."""
    out: Path | None = None
    """Run folder to create; by default a new one under runs/."""
    resume: Path | None = None
    """Run folder to resume, or `latest`: the one under runs/ that was saved last. The options are
    those of the run; only --train.total-steps, --train.checkpoint-every, --train.keep-last,
    --train.most-skipped, the learning rates and what is done about faults can be given anew."""
    trust: tuple[str, ...] = ()
    """Modules that the run to resume may import, besides those of rl_expire, Gymnasium and
    MiniGrid. Modules of --env-id and --wrappers that are given with --resume are trusted too."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU where there is one."""
    threads: int = 1
    """CPU threads of the learner; 0: one per core. The networks are small: a second thread saves
    little, and costs a lot where other programs run."""
    video: bool = True
    """Write retention.mp4 and retention.html after training."""
    track: bool = False
    """Also log to wandb, with video, page and figures (offline if nobody is logged in)."""
    agent: AgentConfig = field(default_factory=ExpireSpanConfig)
    """The agent and its memory."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Sizes and budget of training."""
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    """How the difficulty of the task grows during training."""
    learning: LearningConfig = field(default_factory=LearningConfig)
    """When the task counts as learned."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """The learner of the policy."""
    forgetting: ForgettingConfig = field(default_factory=ForgettingConfig)
    """The learner of the lifetimes."""
    eval: EvalConfig = field(default_factory=EvalConfig)
    """The evaluation after training."""

    env_id: ClassVar[str]
    """Registered id of the environment, or a description where the id is an option."""
    level: ClassVar[tuple[str, ...]]
    """Environment options that set the difficulty; the curriculum raises the first."""
    difficulty: ClassVar[str | None]
    """Info key of an episode's difficulty; None if all episodes are equally hard."""
    scored_at: ClassVar[tuple[int, ...]]
    """Levels at which trained agents are scored one by one, beyond those trained on as well."""
    measure: ClassVar[str] = "success"
    """Info key, on the last step of an episode, of the score to judge it by; 1 is perfect."""
    compared: ClassVar[tuple[str, ...]] = (
        "expire-span",
        "transformer-xl:32",
        "transformer-xl:256",
        "lstm",
        "memoryless",
    )
    """Agents that `compare` trains by default."""
    compared_for: ClassVar[int | None] = None
    """Environment steps of each run of `compare`; None: as many as any other run takes."""
    groups: ClassVar[tuple[str, ...]] = GROUPS
    """Groups of options in `config.json`, besides seed, env and agent."""

    def __post_init__(self) -> None:
        """Check the options."""
        check_range(self, "seed", least=0, most=2**32 - 1)

    def with_agent(self, agent: AgentConfig) -> Self:
        """Return these defaults for another agent, which a task may train in another way."""
        return replace(self, agent=agent)

    def levels(self) -> list[Level]:
        """Return the levels of the curriculum; the last is the full task."""
        option, config = self.level[0], self.curriculum
        goal = self.env_options()[option]
        steps = ladder(config.start, goal, config.growth)
        return [Level(step, {option: step}) for step in steps]

    def env_options(self) -> dict[str, Any]:
        """Return the environment's keyword arguments."""
        return asdict(getattr(self, "env"))  # noqa: B009  (each subclass has its own type)

    def id_of_env(self) -> str:
        """Return the environment's id."""
        return self.env_id

    def env_config(self) -> EnvConfig:
        """Return how environments are made.

        Raises:
            ValueError: the environment is unknown.
        """
        return EnvConfig()

    def reward_threshold(self) -> float | None:
        """Return the mean return of a solved task, for one whose success is unknown."""
        return None

    @classmethod
    def made(cls, entry: Mapping[str, Any]) -> bool:
        """Return whether a run is one of this task, by the entry `env` of its `config.json`."""
        return entry["id"] == cls.env_id and bool(entry.get("level", True))

    def env_from(self, entry: Mapping[str, Any]) -> Any:
        """Return the environment's options from the entry `env` of a `config.json`."""
        kind = type(getattr(self, "env"))  # noqa: B009
        return options_from_json(kind, entry["options"], "env/options")

    def flag(self, group: str, name: str) -> str:
        """Return the command-line option of a field; `group` is empty for the fields here."""
        return flag(f"{group}.{name}" if group else name)

    def list_options(self) -> set[str]:
        """Return the command-line options that take several values."""
        groups = {name: vars(getattr(self, name)) for name in ("env", "agent", *self.groups)}
        return {
            self.flag(group, name)
            for group, options in groups.items()
            for name, value in options.items()
            if isinstance(value, tuple)
        }

    def with_flag(self, error: ValueError) -> ValueError:
        """Return `error` with the command-line option in place of the field that it is about."""
        if isinstance(error, OptionError):
            group = self._group_of(error.config)
            if group is not None:
                return ValueError(f"{self.flag(group, error.field)} {error.problem}")
        name, equals, problem = str(error).partition("=")
        if equals and name in self.env_options():  # what our environments say of their arguments
            return ValueError(f"{self.flag('env', name)}={problem}")
        return error

    def _group_of(self, config: type) -> str | None:
        """Return the group that holds options of a type; None if there is none."""
        if issubclass(config, Experiment):
            return ""
        if issubclass(config, EnvConfig):
            return "env"
        groups = [f.name for f in fields(self) if isinstance(getattr(self, f.name), config)]
        return groups[0] if groups else None
