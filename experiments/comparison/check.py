"""Check the options of a comparison before anything is started or written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agents import AGENT_CONFIGS
from experiments.comparison.runs import Run
from experiments.scoring.whole_task import at_level
from experiments.tasks import TASKS
from experiments.training.build import make_trainer
from experiments.training.command_line import parse_options
from experiments.training.config_file import configuration
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


def check_runs(runs: Sequence[Run], levels: Sequence[int]) -> None:
    """Check that all runs are possible, and agree with what exists of them already.

    Args:
        runs: runs of one task.
        levels: levels at which they are to be scored.

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
    for run in runs:
        options = parse_options(TASKS[run.task], run.options, run.task)
        try:
            make_trainer(options, torch.device("cpu"))
        except ValueError as error:
            raise options.with_flag(error) from error
        config = configuration(options)
        check_agreement(run, config)
        if run is runs[0]:
            check_levels(config["env"], levels)


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
    """Check that a run that exists already was made with the options of this command line.

    Only options that the command line decides have to agree. Defaults of the learner may have
    changed since: the commits in `comparison.json` tell.

    Args:
        run: the run.
        config: the content that its `config.json` would have now.

    Raises:
        ValueError: an option differs.
    """
    try:
        before = _decided(run, json.loads(run.folder.config.read_text()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # There is no such run, or a broken one, which resuming it will report.
    now = _decided(run, config)
    for (group, name), value in before.items():
        if now.get((group, name), value) != value:
            option = f"--{group}.{name.replace('_', '-')}"
            raise ValueError(
                f"{run.folder.path} was made with {option} {value}, not {now[group, name]}: "
                "choose another --out, or use the same options as before"
            )


def _decided(run: Run, config: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return the options in a configuration that the command line decides, by group and name.

    They are those of environment, agent and training, and any others given for all runs.
    """
    groups = {
        "env": config["env"]["options"],
        "agent": config["agent"]["options"],
        "train": config["train"],
    }
    decided = {
        (group, name): value for group, options in groups.items() for name, value in options.items()
    }
    for word in run.extra:
        group, _, name = option_name(word).strip("-").replace("-", "_").partition(".")
        if name in config.get(group, {}):
            decided[group, name] = config[group][name]
    return decided


def option_name(word: str) -> str:
    """Return the option in `--some_option=value`, as `--some-option`; other words as they are."""
    return word.partition("=")[0].replace("_", "-") if word.startswith("--") else word
