"""One experiment from its options to its run folder: the same path for every environment."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, make_dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import torch
import tyro

from agents import AGENT_CONFIGS, AgentConfig, ExpireSpanConfig, make_agent
from experiments import cli
from experiments.open_run import agent_entry, use_threads
from experiments.score import EvalConfig, evaluate_all, print_table
from experiments.watch import watch
from rl_expire.learning.curriculum import Curriculum, CurriculumConfig, Level, ladder
from rl_expire.learning.forgetting import ForgettingConfig
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.ppo import PPOConfig
from rl_expire.learning.random_state import deterministic, seed_all
from rl_expire.learning.schedule import LearningConfig, Schedule
from rl_expire.learning.trainer import TrainConfig, Trainer, train
from rl_expire.runs.interrupt import Interrupt
from rl_expire.runs.progress import Progress, clock
from rl_expire.runs.run_folder import (
    RunFolder,
    RunFolderError,
    commit,
    hardware,
    latest_run,
    write_json,
)
from rl_expire.runs.saver import Saver
from rl_expire.runs.tracking import Tracker
from rl_expire.vector.faults import EnvFaultError
from rl_expire.vector.make import PLAIN, EnvConfig, make_envs, renders

LOG_EVERY = 10
"""Updates between lines of metrics.jsonl."""
LARGEST_SEED = 2**32 - 1
MAY_CHANGE = (
    *(("train", name) for name in ("total_steps", "checkpoint_every", "keep_last", "most_skipped")),
    *(("ppo", "learning_rate"), ("forgetting", "learning_rate")),
    *(("faults", name) for name in ("on_env_fault", "most_env_faults", "env_timeout")),
)
"""Options that can be given anew when a run goes on."""
GROUPS = ("train", "curriculum", "learning", "ppo", "forgetting", "eval")
"""Options that every experiment has."""


@dataclass(frozen=True)
class Experiment:
    """What every experiment's command line has; subclasses add `env`."""

    seed: int = 1
    """Seed of weights and environments."""
    out: Path | None = None
    """Run folder to make; by default a new one under runs/."""
    resume: Path | None = None
    """Run folder to go on with, or `latest`: the one under runs/ that was saved last. Its options
    are those it was made with; given anew can be --train.total-steps, --train.checkpoint-every,
    --train.keep-last, --train.most-skipped, what is done about faults, and the learning rates."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU where there is one."""
    threads: int = 1
    """CPU threads of the learner; 0: as many as there are cores. The networks are small: a second
    thread saves little, and where other programs run it costs a lot."""
    video: bool = True
    """Make retention.mp4 and retention.html at the end."""
    track: bool = False
    """Log to wandb as well, with video, page and stills (offline where nobody is logged in)."""
    agent: AgentConfig = field(default_factory=ExpireSpanConfig)
    """The agent with its memory."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The training run."""
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    """How the task grows while training."""
    learning: LearningConfig = field(default_factory=LearningConfig)
    """When the task counts as learned."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """The learner of the policy."""
    forgetting: ForgettingConfig = field(default_factory=ForgettingConfig)
    """The learner of the lifetimes."""
    eval: EvalConfig = field(default_factory=EvalConfig)
    """The evaluation after training."""

    env_id: ClassVar[str]
    """The environment's registered id, or what is said in its place where it is an option."""
    level: ClassVar[tuple[str, ...]]
    """The options that say how hard the task is, the curriculum's first."""
    difficulty: ClassVar[str | None]
    """The key of the environment's info that says how hard an episode was; None: all are alike."""
    scored_at: ClassVar[tuple[int, ...]]
    """Levels at which a trained agent is scored one by one, those beyond its training included."""
    measure: ClassVar[str] = "success"
    """The key that says, on an episode's last step, how well it went, 1 being perfect."""
    compared: ClassVar[tuple[str, ...]] = (
        "expire-span",
        "transformer-xl:32",
        "transformer-xl:256",
        "lstm",
        "memoryless",
    )
    """Agents that `compare.py` compares, where none are named."""
    compared_for: ClassVar[int | None] = None
    """The most environment steps of each of their runs; None: as many as of any other run."""

    groups: ClassVar[tuple[str, ...]] = GROUPS
    """Options that `config.json` holds under their own names, beside seed, env and agent."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"--seed is {self.seed}: choose one from 0 to {LARGEST_SEED}")

    def levels(self) -> list[Level]:
        """Return the levels of the curriculum; the last is the full task."""
        option, config = self.level[0], self.curriculum
        goal = self.env_options()[option]
        steps = ladder(config.start, goal, config.growth)
        return [Level(step, {option: step}) for step in steps]

    def env_options(self) -> dict[str, Any]:
        """Return the environment's keyword arguments."""
        return asdict(getattr(self, "env"))  # noqa: B009  (each subclass has its own type)

    def environment(self) -> str:
        """Return the environment's id."""
        return self.env_id

    def env_config(self) -> EnvConfig:
        """Return how environments are made.

        Raises:
            ValueError: the environment is unknown.
        """
        return PLAIN

    @classmethod
    def is_of(cls, entry: Mapping[str, Any]) -> bool:
        """Whether a run whose `config.json` has this entry `env` is one of this experiment."""
        return entry["id"] == cls.env_id and bool(entry.get("level", True))

    def env_of(self, entry: Mapping[str, Any]) -> Any:
        """Return the options of the environment that this entry `env` tells."""
        return type(getattr(self, "env"))(**entry["options"])  # noqa: B009

    def flag(self, group: str, name: str) -> str:
        """Return what an option is called on the command line."""
        return f"--{group}.{name.replace('_', '-')}"


def command_line(
    experiment: type[Experiment],
    words: list[str] | None = None,
    then: Callable[[Experiment], None] | None = None,
) -> None:
    """Run `experiment` with the options of the command line; `--agent NAME` chooses the agent.

    Args:
        experiment: its class.
        words: the command line's; those the program was started with if None.
        then: what to do with the options; `run` if None.
    """
    words = sys.argv[1:] if words is None else words
    words = [part for word in words for part in _apart(word)]
    agent, words = _taken("--agent", words)
    resume, words = _taken("--resume", words)
    try:
        before = None if resume is None else as_before(experiment, _run_called(resume, experiment))
        options = _class_of_options(experiment, agent, before)
    except ValueError as error:
        cli.refuse(error)

    def main(options: Experiment) -> None:
        if before is not None:
            _check_contradictions(before, options)
        (then or run)(options)

    default = options() if before is None else _copied(before, options)
    others = ", ".join(AGENT_CONFIGS)
    name = default.agent.name
    main.__doc__ = f"{experiment.__doc__}\n\n--agent NAME chooses the agent ({name}): {others}."
    main.__annotations__["options"] = Annotated[options, tyro.conf.arg(name="")]
    main.__defaults__ = (default,)
    cli.run(main, words)


def _apart(word: str) -> list[str]:
    """Return `--agent=NAME`, or `--resume=RUN`, as two words, any other word as it is."""
    return word.split("=", 1) if word.startswith(("--agent=", "--resume=")) else [word]


def _taken(option: str, words: list[str]) -> tuple[str | None, list[str]]:
    """Return the value of `option`, None if it is not given, and the other words."""
    if option not in words:
        return None, words
    at = words.index(option)
    return " ".join(words[at + 1 : at + 2]), words[:at] + words[at + 2 :]


def _run_called(name: str, experiment: type[Experiment]) -> Path:
    """Return the run folder that `--resume NAME` means."""
    if name != "latest":
        return Path(name)
    path = latest_run(Path("runs"), experiment.env_id, experiment.is_of)
    print(f"--resume latest: going on with {path}")
    return path


def _class_of_options(
    experiment: type[Experiment], name: str | None, before: Experiment | None
) -> type[Experiment]:
    """Return `experiment` with the agent called `name`: what its command line is made from."""
    if name is not None and name not in AGENT_CONFIGS:
        raise ValueError(f"--agent {name!r} is unknown: choose one of {', '.join(AGENT_CONFIGS)}")
    if before is not None and name not in (None, before.agent.name):
        raise _contradiction(before, "--agent", name, before.agent.name)
    own = experiment().agent if before is None else before.agent
    config = AGENT_CONFIGS[name or own.name]
    # What does not set the agents apart is up to the experiment, whichever agent it is.
    names = ("last_action", "last_obs", "layers", "reconstruct")
    shared = {name: getattr(own, name) for name in names}
    default = partial(replace, own) if type(own) is config else partial(config, **shared)
    agent = ("agent", config, field(default_factory=default))
    return make_dataclass(experiment.__name__, [agent], bases=(experiment,), frozen=True)


def _copied(options: Experiment, kind: type[Experiment]) -> Experiment:
    """Return the same options as an instance of another class."""
    return kind(**{f.name: getattr(options, f.name) for f in fields(options)})


def run(options: Experiment) -> None:
    """Train, evaluate, and leave a run folder.

    Ctrl-C, or being told to terminate, saves between two updates and ends the program well.

    Raises:
        ValueError: an option is impossible; nothing has been written.
    """
    device = _device(options.device)
    use_threads(options.threads)
    deterministic(device)
    seed_all(options.seed)
    trainer = make_trainer(options, device)
    if options.resume is None:
        folder = RunFolder.create(options.out or _new_path(options), configuration(options))
    else:
        folder, _ = RunFolder.open(options.resume)
    with folder.lock(), Interrupt() as interrupt:
        try:
            _run(options, trainer, folder, device, interrupt)
        except KeyboardInterrupt:
            if not trainer.finished:
                raise SystemExit(_cut_short(folder)) from None
            print(f"Stopped; {folder.path} is trained, and its scores are still to be made")
            print(f"Make them with:  {_command()} --resume {folder.path}")


def _run(
    options: Experiment,
    trainer: Trainer[Any],
    folder: RunFolder,
    device: torch.device,
    interrupt: Interrupt,
) -> None:
    """Do what `run` does, in a folder that is there and locked."""
    with Progress(options.environment()) as progress:
        saver = Saver(trainer, folder, progress.warn)
        seconds = 0.0
        if options.resume is not None:
            _, config = RunFolder.open(folder.path)
            seconds = saver.resume()
            write_json(folder.config, config | _groups(options) | {"env": _env_entry(options)})
        for line in _not_exact(options, trainer, device):
            progress.warn(line)
        tracker = Tracker(
            options.track,
            folder=folder.path,
            config=configuration(options),
            group=options.environment(),
        )
        try:
            seconds = _train(trainer, saver, progress, tracker, interrupt, seconds)
        except NonFiniteLossError as error:
            tracker.finish(None)
            raise SystemExit(_explain(error, trainer, folder, _command())) from None
        except EnvFaultError as error:
            tracker.finish(None)
            raise SystemExit(_failed(error, trainer, folder)) from None
        finally:
            trainer.envs.close()
    if interrupt.requested:
        tracker.finish(None)
        print(f"Stopped after {trainer.steps:,} steps; what was learned is in {folder.path}")
        print(f"Go on with:  {_command()} --resume {folder.path}")
        return
    interrupt.patient = False
    try:
        results = _evaluate(options, trainer, folder, device, seconds)
    except EnvFaultError as error:
        tracker.finish(None)
        raise SystemExit(_failed(error, trainer, folder)) from None
    if options.video and not renders(options.environment(), options.env_options()):
        print(f"no video: {options.environment()} does not render rgb_array")
    elif options.video:
        print(f"making {folder.video} ...", flush=True)
        plots = options.track and importlib.util.find_spec("matplotlib") is not None
        watch(folder.path, page=True, stills=folder.stills if plots else None)
    tracker.finish(results, folder.pictures())
    print(f"Everything is in {folder.path}")


def _command() -> str:
    return f"python experiments/{Path(sys.argv[0]).name}"


def _cut_short(folder: RunFolder) -> str:
    return (
        f"{Path(sys.argv[0]).name}: stopped at once; what was learned since the last checkpoint is "
        f"lost. Go on with {_command()} --resume {folder.path}"
    )


def _not_exact(options: Experiment, trainer: Trainer[Any], device: torch.device) -> Iterator[str]:
    """Yield lines that say why numbers may come out otherwise another time."""
    if device.type != "cpu":
        yield (
            f"on {device.type} the same command may give other numbers another time, and so may "
            "going on after a stop: --device cpu gives the same ones"
        )
    if options.resume is not None and not trainer.exact:
        yield (
            f"{options.environment()} cannot be saved in the middle of an episode: new episodes "
            "begin, and the run does not go on exactly as it would have"
        )


def configuration(options: Experiment) -> dict[str, Any]:
    """Return all options, and where they were used, as `config.json` holds them."""
    return {
        "env": _env_entry(options),
        "agent": agent_entry(options.agent),
        "seed": options.seed,
        **_groups(options),
        "commit": commit(),
        "hardware": hardware(),
        "versions": {"torch": torch.__version__, "gymnasium": gym.__version__},
    }


def _env_entry(options: Experiment) -> dict[str, Any]:
    env_config = options.env_config()
    return {
        "id": options.environment(),
        "options": options.env_options(),
        "level": options.level,
        "measure": options.measure,
        **({} if env_config == PLAIN else {"making": asdict(env_config)}),
    }


def _groups(options: Experiment) -> dict[str, Any]:
    return {name: asdict(getattr(options, name)) for name in options.groups}


def as_before(experiment: type[Experiment], path: Path) -> Experiment:
    """Return the options that the run at `path` was made with, and `path` as their `resume`.

    Raises:
        ValueError: it is no run, or one of another experiment.
    """
    folder, config = RunFolder.open(path)
    try:
        env_id = config["env"]["id"]
        if experiment.is_of(config["env"]):
            default = experiment()
            made = {name: type(getattr(default, name))(**config[name]) for name in default.groups}
            made["env"] = default.env_of(config["env"])
            agent = AGENT_CONFIGS[config["agent"]["name"]](**config["agent"]["options"])
            return replace(default, seed=config["seed"], resume=path, agent=agent, **made)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RunFolderError(
            f"{folder.config} does not have the options of this version ({error}): "
            "choose another run, or start a new one"
        ) from error
    raise ValueError(
        f"--resume {path} is a run of {str(env_id)[:80]}, "
        f"not of {experiment.env_id}: use that environment's experiment"
    )


def _check_contradictions(before: Experiment, now: Experiment) -> None:
    """Refuse options that differ from those a run was made with, but for `MAY_CHANGE`."""
    if now.out is not None:
        raise ValueError(f"--out {now.out} makes a new run: leave it or --resume out")
    if now.seed != before.seed:
        raise _contradiction(before, "--seed", now.seed, before.seed)
    for group in ("env", "agent", *now.groups):
        given, made_with = asdict(getattr(now, group)), asdict(getattr(before, group))
        for name, value in given.items():
            if value != made_with[name] and (group, name) not in MAY_CHANGE:
                raise _contradiction(before, now.flag(group, name), value, made_with[name])


def _contradiction(before: Experiment, option: str, now: Any, then: Any) -> ValueError:
    return ValueError(
        f"{option} {now} contradicts --resume {before.resume}, which was made with {then}: "
        "leave it out, or start a new run"
    )


def _explain(
    error: NonFiniteLossError, trainer: Trainer[Any], folder: RunFolder, command: str
) -> str:
    """Write down what is known of a loss that is not finite; return what to do about it."""
    phase = trainer.schedule.phase
    where = {"update": trainer.updates + 1, "steps": trainer.steps, "phase": phase}
    said = {"error": str(error), **where, "batch": error.description}
    write_json(folder.nonfinite, said)
    group = "forgetting" if phase == "forget" else "ppo"
    rate = getattr(trainer, group).learning_rate
    return (
        f"{Path(sys.argv[0]).name}: error: {error} at update {where['update']}, after "
        f"{trainer.steps:,} steps; {folder.nonfinite} describes the batch. Go on from the last "
        f"checkpoint with {command} --resume {folder.path} and a --{group}.learning-rate "
        f"below {rate:g}"
    )


def _failed(error: EnvFaultError, trainer: Trainer[Any], folder: RunFolder) -> str:
    """Return what is to be said of an environment that stops the run."""
    return (
        f"{Path(sys.argv[0]).name}: error: after {trainer.steps:,} steps {error}. Go on with "
        f"{_command()} --resume {folder.path}, once it is mended, or with --on-env-fault restart"
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise ValueError(f"--device {name} is not available: choose cpu or auto")
    return torch.device(name)


def _new_path(options: Experiment) -> Path:
    task = options.environment().split("/")[-1].split(":")[-1].rsplit("-v", 1)[0].lower()
    return Path("runs") / f"{task}-seed{options.seed}-{datetime.now():%Y%m%d-%H%M%S}"


def make_trainer(options: Experiment, device: torch.device) -> Trainer[Any]:
    """Make environments, agent, schedule and trainer, new, from `options`.

    Raises:
        ValueError: an option is impossible.
    """
    env_options = options.env_options()
    try:
        env_config = options.env_config()
        envs = make_envs(options.environment(), options.train.num_envs, env_options, env_config)
    except ValueError as error:
        raise _as_option(error, env_options) from error
    spaces = envs.single_observation_space, envs.single_action_space
    agent = make_agent(*spaces, options.agent).to(device)
    forgetting = options.forgetting
    if not agent.span_parameters():
        forgetting = replace(forgetting, method="never")
    forget_steps = {"after-learning": forgetting.steps, "never": 0, "joint": None}
    schedule = Schedule(
        Curriculum(options.levels(), options.curriculum),
        options.learning,
        total_steps=options.train.total_steps,
        forget_steps=forget_steps[forgetting.method],
        tolerance=forgetting.tolerance,
    )
    try:
        return Trainer(
            agent,
            envs,
            schedule,
            options.difficulty,
            options.measure,
            train=options.train,
            ppo=options.ppo,
            forgetting=forgetting,
            device=device,
            seed=options.seed,
            solved_return=env_config.solved_return,
        )
    except EnvFaultError as error:
        raise ValueError(f"{options.environment()} cannot begin: {error}") from error


def _as_option(error: ValueError, env_options: dict[str, Any]) -> ValueError:
    """Return what an environment says of an argument, as `name=value ...`, of its option."""
    name, _, said = str(error).partition("=")
    return ValueError(f"--env.{name.replace('_', '-')}={said}") if name in env_options else error


def _train(
    trainer: Trainer[Any],
    saver: Saver,
    progress: Progress,
    tracker: Tracker,
    interrupt: Interrupt,
    before: float,
) -> float:
    """Train; return the seconds it took, `before` from earlier sessions included."""
    progress.start(trainer.steps)

    def report(metrics: dict[str, Any]) -> None:
        for fault in trainer.faults:
            progress.warn(f"{fault}; it is rebuilt, its episode truncated")
        progress.update(metrics, trainer.schedule.remaining_steps)
        if trainer.updates % LOG_EVERY == 0 or trainer.finished:
            metrics["seconds"] = before + progress.seconds
            saver.report(metrics)
            tracker.log(metrics)

    def save() -> None:
        saver.save(before + progress.seconds)

    save()  # so that there is always something to go on from
    train(trainer, report=report, save=save, stop=lambda: interrupt.requested)
    saver.finish(before + progress.seconds)
    return before + progress.seconds


def _evaluate(
    options: Experiment,
    trainer: Trainer[Any],
    folder: RunFolder,
    device: torch.device,
    seconds: float,
) -> dict[str, Any]:
    """Score the trained agent, print the table and write `results.json`."""
    print(f"trained {trainer.steps:,} steps in {clock(seconds)}; evaluating ...", flush=True)
    scores = evaluate_all(
        trainer.agent,
        options.environment(),
        options.env_options(),
        options.level,
        options.eval,
        device,
        options.env_config(),
    )
    results = {
        "env_id": options.environment(),
        "agent": options.agent.name,
        "seed": options.seed,
        "commit": commit(),
        "hardware": hardware(),
        "parameters": sum(p.numel() for p in trainer.agent.parameters()),
        "train.steps": trainer.steps,
        "train.seconds": round(seconds, 1),
        "train.steps_per_second": round(trainer.steps / seconds, 1),
        "train.solved": trainer.schedule.solved_at is not None,
        **scores,
    }
    write_json(folder.results, results)
    print_table(results)
    return results
