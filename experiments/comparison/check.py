"""Check the options of a comparison before anything is started or written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agents import AGENT_CONFIGS
from experiments.comparison.options import Options, first_difference, resolved
from experiments.comparison.runs import Run
from experiments.scoring.whole_task import at_level
from experiments.tasks import TASKS, experiment_of
from experiments.training.build import make_trainer
from experiments.training.command_line import parse_options
from experiments.training.config_file import configuration
from rl_expire.runs.json_file import read_json
from rl_expire.vector.faults import close_envs
from rl_expire.vector.make import make_envs

SET_BY_COMPARE = {
    "--agent": "use --agents",
    "--seed": "use --seeds",
    "--train.total-steps": "use --total-steps",
    "--track": "use --track before the --",
    "--out": "use --out before the --",
    **dict.fromkeys(("--resume", "--threads"), "compare sets it"),
    **dict.fromkeys(("--video", "--no-video"), "film runs with rl-expire watch"),
}
"""Options that a comparison sets for its runs itself, and what to do instead."""


def check_runs(runs: Sequence[Run], levels: Sequence[int]) -> list[Options]:
    """Check that all runs are possible, and agree with what exists of them already.

    Runs that differ in nothing but the seed are tried once.

    Args:
        runs: the runs.
        levels: levels at which they are to be scored, if all are of one task.

    Returns:
        The options of each run, defaults included.

    Raises:
        ValueError: they are not; the message says what to change.
        SystemExit: with code 0, if `--help` is among the options of the runs.
    """
    for word in runs[0].extra:
        name = option_name(word)
        if name in SET_BY_COMPARE:
            raise ValueError(
                f"{name} cannot be given after --, to every run: {SET_BY_COMPARE[name]}"
            )
    found, tried = [], set()
    for run in runs:
        experiment, words = experiment_of(run.task)
        options = parse_options(experiment, [*words, *run.options], run.task)
        if (run.task, run.variant) not in tried:
            try:
                make_trainer(options, torch.device("cpu"))
            except ValueError as error:
                problem = options.with_flag(error)
                of_task = "" if run.task in TASKS else f"{run.task}: "
                raise ValueError(f"{of_task}{problem}") from error
        tried.add((run.task, run.variant))
        config = configuration(options)
        check_agreement(run, config)
        if not run.folder.checkpoints.exist and not run.folder.results.exists():
            run.folder.check_unstarted()
        if run is runs[0]:
            check_levels(config["env"], levels)
        found.append(resolved(config))
    return found


def parse_variant(words: str) -> tuple[str, int | None]:
    """Return the agent and the memory size of `NAME` or `NAME:SIZE`.

    Raises:
        ValueError: there is no such agent, or it cannot have that size.
    """
    name, colon, size = words.partition(":")
    if name not in AGENT_CONFIGS:
        known = ", ".join(AGENT_CONFIGS)
        raise ValueError(f"--agents {words}: {name!r} is unknown, choose from {known}")
    config: type[Any] = AGENT_CONFIGS[name]
    if not colon:
        return name, None
    if config.size_option is None:
        raise ValueError(f"--agents {words}: {name} has no memory size, give its name alone")
    if not size.isdecimal():
        raise ValueError(f"--agents {words}: size {size!r} is not a whole number")
    try:
        config(**{config.size_option: int(size)})
    except ValueError as error:
        raise ValueError(f"--agents {words}: {error}") from error
    return name, int(size)


def make_writable_folder(path: Path) -> None:
    """Create a folder if there is none, and check that files can be written there.

    Raises:
        ValueError: they cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise ValueError(
            f"--out {path} cannot be written ({error.strerror}): choose another folder"
        ) from error


def check_levels(env: dict[str, Any], levels: Sequence[int]) -> None:
    """Check that the environment can be made at each level.

    Raises:
        ValueError: it cannot.
    """
    for level in levels:
        try:
            close_envs(make_envs(env["id"], 1, at_level(env["options"], env["level"], level)))
        except ValueError as error:
            raise ValueError(f"--levels {level}: {error}") from error


def check_agreement(run: Run, config: dict[str, Any]) -> None:
    """Check that a run that exists already was made with the same options, defaults included.

    Args:
        run: the run.
        config: the content that its `config.json` would have now.

    Raises:
        ValueError: an option differs.
    """
    try:
        before = resolved(read_json(run.folder.config))
    except (ValueError, LookupError, TypeError, AttributeError):
        return  # There is no such run, or a broken one, which resuming it will report.
    difference = first_difference(before, resolved(config))
    if difference is not None:
        raise ValueError(
            f"{run.folder.path} was made with {difference}: "
            "choose another --out, or use the same options as before"
        )


def option_name(word: str) -> str:
    """Return the option in `--some_option=value`, as `--some-option`; other words as they are."""
    return word.partition("=")[0].replace("_", "-") if word.startswith("--") else word
