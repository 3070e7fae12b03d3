"""The command `suite`: train agents on every task of a suite, and report one table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.command_line.errors import at_least, installed
from experiments.command_line.parse import Call
from experiments.comparison.check import check_runs, make_writable_folder, parse_variant
from experiments.comparison.command import exit_on_failure, parse_with_extra
from experiments.comparison.run_all import run_all
from experiments.comparison.runs import Run
from experiments.comparison.suite_report import read_suite_record, write_suite_report
from experiments.comparison.suites import SUITES, short_name
from rl_expire.runs.provenance import commit, hardware


@dataclass(frozen=True)
class Suite:
    """Train every agent with every seed on every task, then write suite.json, table.md and a plot.

    Options after `--` are passed on to every run.
    """

    suite: Annotated[str, tyro.conf.Positional]
    """The suite: popgym."""
    tasks: tuple[str, ...] = ()
    """Tasks of the suite by their short names, such as RepeatFirstEasy; by default all."""
    agents: tuple[str, ...] = ("expire-span", "lstm", "memoryless")
    """NAME or NAME:SIZE, as in `compare`."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of each agent on each task."""
    total_steps: int = 15_000_000
    """Environment steps of each run; the default is that of POPGym's authors."""
    jobs: int = 0
    """Runs at a time, each on one CPU thread; 0: one per core."""
    out: Path | None = None
    """Folder of all runs; by default runs/suite-SUITE."""
    track: bool = False
    """Also log to wandb, all runs of a task in one group."""

    @property
    def folder(self) -> Path:
        """Folder of all runs."""
        return self.out or Path("runs") / f"suite-{self.suite}"


def suite_command(words: list[str], prog: str) -> Call:
    """Parse the command line of a suite."""
    return parse_with_extra(Suite, suite, words, prog)


def suite(options: Suite, *, extra: tuple[str, ...], command: str) -> None:
    """Train the runs that are missing, then write the report.

    Args:
        options: options of the suite.
        extra: further options of every run.
        command: the whole command, for the report.

    Raises:
        ValueError: an option is impossible; nothing has been started or written.
        SystemExit: a run failed, or the suite was interrupted.
    """
    runs = plan(options, extra)
    check_runs(runs, levels=())
    make_writable_folder(options.folder)
    failed, completed = run_all(runs, (), options.jobs or os.cpu_count() or 1)
    records = [read_suite_record(run) for run in runs if run.is_finished(())]
    about = {"command": command, "commit": commit(), "hardware": hardware()}
    write_suite_report(options.folder, options.suite, records, about)
    exit_on_failure(failed, completed)


def plan(options: Suite, extra: tuple[str, ...]) -> list[Run]:
    """Return the runs of a suite, task by task.

    Raises:
        ValueError: an option is impossible, or a package is missing.
    """
    if options.suite not in SUITES:
        raise ValueError(f"SUITE {options.suite!r} is unknown: choose one of {', '.join(SUITES)}")
    at_least(0, jobs=options.jobs)
    at_least(1, total_steps=options.total_steps)
    for option, values in (("agents", options.agents), ("seeds", options.seeds)):
        if not values:
            raise ValueError(f"--{option} is empty: give one or more")
    tasks = chosen_tasks(SUITES[options.suite], options.tasks)
    installed("matplotlib", "scipy")
    modules = {env_id.rpartition(":")[0] for env_id in tasks} - {""}
    installed(*sorted(modules), extra=options.suite)
    return [
        Run(
            env_id,
            *parse_variant(variant),
            seed,
            options.folder / short_name(env_id),
            options.total_steps,
            extra,
            options.track,
        )
        for env_id in tasks
        for seed in dict.fromkeys(options.seeds)
        for variant in dict.fromkeys(options.agents)
    ]


def chosen_tasks(env_ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the ids with these short names, in the order of the suite; all without names.

    Raises:
        ValueError: the suite has no task of a name.
    """
    known = {short_name(env_id): env_id for env_id in env_ids}
    for name in names:
        if name not in known:
            raise ValueError(f"--tasks {name} is unknown: choose from {', '.join(known)}")
    return [env_id for name, env_id in known.items() if not names or name in names]
