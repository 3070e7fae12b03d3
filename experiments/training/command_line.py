"""The command line of a training command, parsed in two passes.

The first reads `--agent`, `--resume` and `--trust`, which decide what the other options are and
what their defaults are; the second reads all others.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from functools import partial
from typing import NoReturn

import tyro

from agents import AGENT_CONFIGS, AgentConfig
from experiments.command_line.parse import Call, Command, parse
from experiments.training.experiment import Experiment
from experiments.training.resume import (
    check_contradictions,
    contradiction,
    options_of_run,
    run_to_resume,
)
from experiments.training.run import run

SHARED = ("last_action", "last_obs", "layers", "reconstruct")
"""Options of agents that a task sets for whichever agent is chosen, if it has them."""


class _FirstPass(argparse.ArgumentParser):
    """A parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a `ValueError`."""
        raise ValueError(message)


def training_command(experiment: type[Experiment], usage: str = "") -> Command:
    """Return the command that trains an agent on a task; its help begins with `usage`."""

    def command(words: list[str], prog: str) -> Call:
        """Parse the words."""
        options = parse_options(experiment, words, prog, usage)
        return partial(_run, options, prog)

    return command


def _run(options: Experiment, prog: str) -> None:
    """Train, with errors about options named as on the command line."""
    try:
        run(options, prog)
    except ValueError as error:
        raise options.with_flag(error) from error


def parse_options(
    experiment: type[Experiment], words: list[str], prog: str, usage: str = ""
) -> Experiment:
    """Return the options of a training command.

    Args:
        experiment: the task.
        words: the command line's words.
        prog: name of the program, for its help.
        usage: what the help begins with.

    Raises:
        ValueError: the words do not parse, or contradict the run to resume.
        SystemExit: with code 0, after `--help` has been printed.
    """
    first = _FirstPass(prog=prog, add_help=False, allow_abbrev=False)
    first.add_argument("--agent", nargs="?", const="")  # without a name: unknown agent ''
    first.add_argument("--resume")
    first.add_argument("--trust", nargs="+", action="extend", default=[])
    given, rest = first.parse_known_args(words)
    if given.resume is None:
        before, default = None, experiment()
    else:
        named = [word.rpartition("=")[2].partition(":")[0] for word in rest if ":" in word]
        trust = (*given.trust, *filter(None, named))
        path = run_to_resume(experiment, given.resume)
        before = default = replace(options_of_run(experiment, path, trust), trust=trust)
        if given.agent not in (None, before.agent.name):
            raise contradiction(before, "--agent", given.agent, before.agent.name)
    if before is None:
        default = default.with_agent(agent_config(default.agent, given.agent))
    about = f"--agent NAME chooses the agent ({default.agent.name}): {', '.join(AGENT_CONFIGS)}."
    try:
        options = parse(
            tyro.conf.AvoidSubcommands[experiment],  # type: ignore[valid-type]
            rest,
            prog,
            default.list_options(),
            default=default,
            description="\n\n".join(filter(None, (usage, experiment.__doc__, about))),
        )
    except ValueError as error:
        raise default.with_flag(error) from error
    if before is not None:
        check_contradictions(before, options)
    return options


def agent_config(default: AgentConfig, name: str | None) -> AgentConfig:
    """Return the default configuration of the agent called `name`; None: `default` itself.

    Raises:
        ValueError: there is no such agent.
    """
    if name is None or name == default.name:
        return default
    if name not in AGENT_CONFIGS:
        raise ValueError(f"--agent {name!r} is unknown: choose one of {', '.join(AGENT_CONFIGS)}")
    config = AGENT_CONFIGS[name]
    shared = [f.name for f in fields(config) if f.name in SHARED and hasattr(default, f.name)]
    return config(**{option: getattr(default, option) for option in shared})
