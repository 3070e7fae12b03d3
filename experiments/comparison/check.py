"""A comparison's options are tried before anything starts: what is wrong shows at once."""

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
from rl_expire.vector.make import make_envs

OURS = {
    "--agent": "--agents",
    "--seed": "--seeds",
    "--train.total-steps": "--total-steps",
    "--track": "--track before the --",
    "--out": "--out before the --",
    **dict.fromkeys(("--resume", "--threads"), "nothing, every run gets its own"),
    **dict.fromkeys(("--video", "--no-video"), "nothing, watch.py films any run"),
}
"""Options that a comparison gives its runs itself, and what to use in their place."""


def check(runs: Sequence[Run], levels: Sequence[int]) -> None:
    """Refuse runs whose options their experiment refuses, or that were made with other options.

    Args:
        runs: of one task.
        levels: at which they are to be scored.

    Raises:
        ValueError: with what is wrong and what to do; nothing has been started or written.
        SystemExit: with code 2, where the experiment's command line has said it already.
    """
    for word in runs[0].extra:
        name = _name(word)
        if name in OURS:
            raise ValueError(f"-- {name} cannot be given to every run: use {OURS[name]}")
    for run in runs:
        options = parse_options(TASKS[run.task], run.options, run.task)
        try:
            make_trainer(options, torch.device("cpu"))
        except ValueError as error:
            raise options.with_flag(error) from error
        config = configuration(options)
        _same(run, config)
        if run is runs[0]:
            _levels_exist(config["env"], levels)


def variant(words: str) -> tuple[str, int | None]:
    """Return the agent and the size that `NAME` or `NAME:SIZE` asks for.

    Raises:
        ValueError: there is no such agent, or it cannot have that size.
    """
    name, colon, size = words.partition(":")
    if name not in AGENT_CONFIGS:
        known = ", ".join(AGENT_CONFIGS)
        raise ValueError(f"--agents {words}: no agent {name!r}, choose from {known}")
    config: type[Any] = AGENT_CONFIGS[name]
    if not colon:
        return name, None
    if config.size_option is None:
        raise ValueError(f"--agents {words}: {name} has no memory size, give its name alone")
    if not size.isdecimal():
        raise ValueError(f"--agents {words}: {size!r} is no size, give a whole number")
    try:
        config(**{config.size_option: int(size)})
    except ValueError as error:
        raise ValueError(f"--agents {words}: {error}") from error
    return name, int(size)


def make_writable(out: Path) -> None:
    """Make the folder `out`, and see whether files can be written there.

    Raises:
        ValueError: they cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise ValueError(
            f"--out {out} cannot be written ({error.strerror}): give another folder"
        ) from error


def _levels_exist(env: dict[str, Any], levels: Sequence[int]) -> None:
    """Refuse levels that the environment refuses."""
    for level in levels:
        try:
            make_envs(env["id"], 1, at_level(env["options"], env["level"], level)).close()
        except ValueError as error:
            raise ValueError(f"--levels {level}: {error}") from error


def _same(run: Run, wanted: dict[str, Any]) -> None:
    """Refuse a run that is there already but is another than the one wanted.

    What this command line decides must agree; defaults of the learner may have changed since, which
    the commits in comparison.json tell.
    """
    try:
        found = json.loads(run.folder.config.read_text())
        pairs = [
            ("env", found["env"]["options"], wanted["env"]["options"]),
            ("agent", found["agent"]["options"], wanted["agent"]["options"]),
            ("train", found["train"], wanted["train"]),
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing there, or nothing that can be gone on with: the run itself says so
    for word in run.extra:
        group, _, name = _name(word).strip("-").replace("-", "_").partition(".")
        if name in wanted.get(group, {}) and name in found.get(group, {}):
            pairs.append((group, {name: found[group][name]}, {name: wanted[group][name]}))
    for group, before, now in pairs:
        for name in before.keys() & now.keys():
            if before[name] != now[name]:
                option = f"--{group}.{name.replace('_', '-')}"
                raise ValueError(
                    f"{run.folder.path} was made with {option} {before[name]}, not {now[name]}: "
                    "give another --out, or the same options as before"
                )


def _name(word: str) -> str:
    """Return the option's name in `--some_option=value`, as `--some-option`."""
    return word.partition("=")[0].replace("_", "-") if word.startswith("--") else word
