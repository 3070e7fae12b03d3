"""Messages of a training command about what went wrong and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from experiments.command_line.errors import program
from experiments.training.experiment import Experiment
from experiments.trust import trust_option, trusted_by_training
from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.json_file import write_json
from rl_expire.runs.run_folder import RunFolder
from rl_expire.vector.faults import EnvFaultError


def resume_command(options: Experiment, folder: RunFolder, prog: str) -> str:
    """Return the command that resumes a run."""
    modules = trusted_by_training(options.id_of_env(), options.env_config().wrappers)
    return f"{prog} --resume {folder.path} {trust_option(modules)}".rstrip()


def killed_message(options: Experiment, folder: RunFolder, prog: str) -> str:
    """Return the message after a second Ctrl-C."""
    return (
        f"{program()}: stopped at once; what was learned since the last checkpoint is lost. "
        f"Go on with {resume_command(options, folder, prog)}"
    )


def not_exact(options: Experiment, trainer: Trainer[Any], device: torch.device) -> Iterator[str]:
    """Yield the reasons why the same command may give other numbers another time."""
    if device.type != "cpu":
        yield (
            f"on {device.type} the same command may give other numbers another time, and so may "
            "resuming: use --device cpu for the same numbers"
        )
    if options.resume is not None and not trainer.resumes_exactly:
        what = "actors are" if options.train.actors else f"{options.id_of_env()} is"
        yield (
            f"{what} not saved in the middle of an episode: new episodes begin, and the run "
            "differs from one that was never stopped"
        )


def describe_nonfinite(
    error: NonFiniteLossError, trainer: Trainer[Any], folder: RunFolder, resume: str
) -> str:
    """Write `nonfinite.json`, which describes the batch; return the message.

    Args:
        error: what happened.
        trainer: the state of the run.
        folder: the run folder.
        resume: the command that resumes the run.
    """
    where = {"update": trainer.updates + 1, "steps": trainer.steps, "phase": trainer.schedule.phase}
    write_json(folder.nonfinite, {"error": str(error), **where, "batch": error.description})
    return (
        f"{program()}: error: {error} at update {where['update']}, after "
        f"{trainer.steps:,} steps; {folder.nonfinite} describes the batch. Go on from the last "
        f"checkpoint with {resume} and a --ppo.learning-rate below "
        f"{trainer.learner.ppo.learning_rate:g}"
    )


def env_fault_message(
    error: EnvFaultError, trainer: Trainer[Any], folder: RunFolder, resume: str
) -> str:
    """Return the message for an environment fault that ends the run; arguments as above."""
    return (
        f"{program()}: error: after {trainer.steps:,} steps {error}. Go on with "
        f"{resume} once the environment is mended, or with "
        "--on-env-fault restart"
    )
