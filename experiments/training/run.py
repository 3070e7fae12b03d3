"""Train, evaluate and film: everything that a training command does."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from experiments.command_line.errors import program
from experiments.scoring.results_table import print_table
from experiments.scoring.whole_task import evaluate_all
from experiments.training.build import make_trainer
from experiments.training.config_file import (
    configuration,
    env_entry,
    group_entries,
    stored_spaces,
)
from experiments.training.device import device_of, use_threads
from experiments.training.experiment import Experiment
from experiments.training.guesses import guesses
from experiments.training.messages import (
    describe_nonfinite,
    env_fault_message,
    killed_message,
    not_exact,
    resume_command,
)
from experiments.training.restart import ENTRY, after_restart, launch_entry
from experiments.trust import trusted_by_training
from experiments.watching.film import film
from rl_expire.learning import ranks
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.random_state import make_deterministic, seed_all
from rl_expire.learning.train_loop import train
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.interrupt import Interrupt
from rl_expire.runs.json_file import write_json
from rl_expire.runs.progress import Progress, clock
from rl_expire.runs.provenance import commit, hardware
from rl_expire.runs.run_folder import RunFolder
from rl_expire.runs.saver import Saver
from rl_expire.runs.tracking import Tracker
from rl_expire.vector.faults import EnvFaultError, error_summary
from rl_expire.vector.make import can_render

LOG_EVERY = 10
"""Updates between lines of metrics.jsonl."""


def run(options: Experiment, prog: str) -> None:
    """Train, evaluate, film, and leave a run folder.

    The first Ctrl-C or SIGTERM saves between two updates and ends the program with exit code 0.
    Of the processes that torchrun starts, only that of rank 0 writes, evaluates and films; the
    others print nothing but errors.

    Args:
        options: of the run.
        prog: the program's name, for the commands that messages suggest.

    Raises:
        ValueError: an option is impossible; nothing has been written.
    """
    device = device_of(options.device)
    use_threads(options.threads)
    make_deterministic(device)
    ranks.join(device)
    if ranks.rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        _run_on_rank(options, device, prog)
    except ranks.RankError as error:
        raise SystemExit(f"{program()}: error: {error}") from None


def _run_on_rank(options: Experiment, device: torch.device, prog: str) -> None:
    """Do what `run` does, once all ranks have joined."""
    seed_all(options.seed)
    trainer = make_trainer(options, device)
    if ranks.rank() > 0:  # the same weights, but actions and minibatches of its own
        seed_all(ranks.own_seed(options.seed, options.train.num_envs))
    options = after_restart(options)
    if options.resume is None:
        folder = ranks.on_first(lambda: _new_folder(options, trainer))
    else:
        folder, _ = RunFolder.open(options.resume)
    with folder.lock() if ranks.rank() == 0 else nullcontext(), Interrupt() as interrupt:
        try:
            _run(options, trainer, folder, device, interrupt, prog)
        except KeyboardInterrupt:
            if not trainer.finished:
                raise SystemExit(killed_message(options, folder, prog)) from None
            print(f"Stopped; {folder.path} is trained, but not evaluated yet")
            print(f"Evaluate it with:  {resume_command(options, folder, prog)}")


def _new_folder(options: Experiment, trainer: Trainer[Any]) -> RunFolder:
    """Create the run folder; by default `runs/TASK-seedN-TIME`."""
    task = options.id_of_env().split("/")[-1].split(":")[-1].rsplit("-v", 1)[0].lower()
    default = Path("runs") / f"{task}-seed{options.seed}-{datetime.now():%Y%m%d-%H%M%S}"
    path = options.out or default
    try:
        return RunFolder.create(path, configuration(options) | stored_spaces(trainer))
    except ValueError as error:
        raise ValueError(f"--out {error}") from error


def _run(
    options: Experiment,
    trainer: Trainer[Any],
    folder: RunFolder,
    device: torch.device,
    interrupt: Interrupt,
    prog: str,
) -> None:
    """Do what `run` does, in a run folder that exists and is locked."""
    tracker = None
    try:
        with Progress(options.id_of_env()) as progress:
            saver, before = Saver(trainer, folder, progress.warn), 0.0
            if options.resume is not None:
                before = _resume(options, saver, folder)
            for line in guesses(options, trainer):
                progress.say(line)
            for line in not_exact(options, trainer, device):
                progress.warn(line)
            tracker = _tracker(options, folder)
            try:
                seconds = _train(trainer, saver, progress, tracker, interrupt, before)
            finally:
                trainer.actor.close()
        first = ranks.rank() == 0
        ranks.leave()
        if not first:
            return
        if interrupt.requested or not trainer.finished:
            tracker.finish()
            print(f"Stopped after {trainer.steps:,} steps; what was learned is in {folder.path}")
            print(f"Go on with:  {resume_command(options, folder, prog)}")
            return
        interrupt.graceful = False
        results = _evaluate(options, trainer, folder, device, seconds)
    except (NonFiniteLossError, EnvFaultError) as error:
        if tracker is not None:
            tracker.finish()
        if ranks.rank() > 0:
            raise SystemExit(1) from None
        resume = resume_command(options, folder, prog)
        explain = describe_nonfinite if isinstance(error, NonFiniteLossError) else env_fault_message
        raise SystemExit(explain(error, trainer, folder, resume)) from None  # type: ignore[arg-type]
    tracker.log_results(results)
    if options.video:
        _film(options, folder)
    tracker.finish(folder.pictures())
    print(f"Everything is in {folder.path}")


def _resume(options: Experiment, saver: Saver, folder: RunFolder) -> float:
    """Restore the last checkpoint; return the seconds that training has taken."""
    _, config = RunFolder.open(folder.path)
    seconds = saver.resume()
    config.pop(ENTRY, None)
    config |= group_entries(options) | {"env": env_entry(options)} | launch_entry()
    config |= stored_spaces(saver.trainer)
    ranks.on_first(lambda: write_json(folder.config, config))
    return seconds


def _tracker(options: Experiment, folder: RunFolder) -> Tracker:
    """Start tracking, if asked for."""
    return Tracker(
        options.track and ranks.rank() == 0,
        folder=folder.path,
        config=configuration(options),
        group=options.id_of_env(),
    )


def _train(
    trainer: Trainer[Any],
    saver: Saver,
    progress: Progress,
    tracker: Tracker,
    interrupt: Interrupt,
    before: float,
) -> float:
    """Train; return the seconds it took, including `before`, those of earlier sessions."""
    progress.start(trainer.steps)

    def report(metrics: dict[str, Any]) -> None:
        """Show the metrics of an update, and log those of every tenth."""
        for fault in trainer.faults:
            progress.warn(f"{fault}; the environment is rebuilt and its episode truncated")
        progress.update(metrics, trainer.schedule.remaining_steps)
        if trainer.updates % LOG_EVERY == 0 or trainer.finished:
            metrics["seconds"] = before + progress.seconds
            saver.report(metrics)
            tracker.log(metrics)

    def save() -> None:
        """Save a checkpoint."""
        saver.save(before + progress.seconds)

    save()  # so that there is always something to resume
    shown = report if ranks.rank() == 0 else _ignore
    train(trainer, report=shown, save=save, stop=lambda: interrupt.requested)
    saver.finish(before + progress.seconds)
    return before + progress.seconds


def _ignore(metrics: dict[str, Any]) -> None:
    """Do nothing with the metrics, which rank 0 reports."""


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
        options.id_of_env(),
        options.env_options(),
        options.level,
        options.eval,
        device,
        options.env_config(),
    )
    results = {
        "env_id": options.id_of_env(),
        "agent": options.agent.name,
        "seed": options.seed,
        "commit": commit(),
        "hardware": hardware(),
        "parameters": sum(p.numel() for p in trainer.agent.parameters()),
        "train.steps": trainer.steps,
        "train.seconds": round(seconds, 1),
        "train.steps_per_second": round(trainer.steps / seconds, 1),
        "train.solved": trainer.schedule.solved_step is not None,
        **scores,
    }
    write_json(folder.results, results)
    print_table(results, one_level=not options.level)
    return results


def _film(options: Experiment, folder: RunFolder) -> None:
    """Write video and page; also figures if they are tracked and Matplotlib is installed.

    Whatever fails here, such as the rendering of an environment, is one warning: the run is over,
    and its scores are written.
    """
    plots = options.track and importlib.util.find_spec("matplotlib") is not None
    trust = trusted_by_training(options.id_of_env(), options.env_config().wrappers)
    try:
        if not can_render(options.id_of_env(), options.env_options()):
            env_id = options.id_of_env()
            print(f"no video: {env_id} has no 'rgb_array' among its metadata['render_modes']")
            return
        print(f"writing {folder.video} ...", flush=True)
        film(folder.path, page=True, stills=folder.stills if plots else None, trust=trust)
    except Exception as error:
        print(f"warning: no video: {error_summary(error)}; try rl-expire watch {folder.path}")
