"""The command `compare`: train, score and report."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from experiments.command_line.errors import at_least, installed
from experiments.command_line.parse import Call, parse
from experiments.comparison.cell import cell_of
from experiments.comparison.check import check, make_writable, variant
from experiments.comparison.recorded import left_to_do, merged, recorded
from experiments.comparison.report import report
from experiments.comparison.runs import Run, run_all
from experiments.tasks import TASKS
from rl_expire.runs.provenance import commit, hardware


@dataclass(frozen=True)
class Comparison:
    """Train every agent with every seed, then write comparison.json, table.md and the plots.

    Words after `--` are options of every run.
    """

    task: Annotated[str, tyro.conf.Positional]
    """The task: corridor, portal or instruction."""
    agents: tuple[str, ...] | None = None
    """NAME or NAME:SIZE; the size is the window of transformer-xl and compressive, the capacity of
    expire-span and adaptive-span, or the width of lstm. By default Expire-Span, Transformer-XL with
    a small and a large window, LSTM and memoryless."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of each agent."""
    total_steps: int | None = None
    """Environment steps of a run at most; a run whose task is solved, and that has nothing to
    forget, ends sooner. By default 4,000,000 for the corridor, for other tasks as many as any run
    takes."""
    levels: tuple[int, ...] = ()
    """Levels at which the trained agents are scored one by one; by default the task's own."""
    jobs: int = 0
    """Runs at a time, each on one CPU thread; 0: one per core."""
    out: Path | None = None
    """Folder of the comparison; by default runs/compare-TASK."""
    earlier: Path | None = None
    """comparison.json of an earlier comparison, from any machine: its runs are not made again, but
    reported with the others."""
    track: bool = False
    """Also log to wandb, all runs in one group."""


def compare_command(words: list[str], prog: str) -> Call:
    """Parse the words of a comparison."""
    at = words.index("--") if "--" in words else len(words)
    options = parse(Comparison, words[:at], prog)
    command = f"{prog} {shlex.join(words)}"
    return partial(compare, options, extra=tuple(words[at + 1 :]), command=command)


def compare(options: Comparison, *, extra: tuple[str, ...], command: str) -> None:
    """Train and score what is not there yet, then write the report.

    Args:
        options: of the comparison.
        extra: further options of every run.
        command: the whole command, for the report.

    Raises:
        ValueError: an option is impossible; nothing has been started or written.
        SystemExit: a run failed, or the comparison was stopped.
    """
    runs, levels = planned(options, extra)
    out = folder_of(options)
    check(runs, levels)
    before = recorded(options.earlier) if options.earlier else []
    order = [run.variant for run in runs]
    runs = left_to_do(runs, before, levels)
    make_writable(out)
    failed, completed = run_all(runs, levels, options.jobs or os.cpu_count() or 1)
    about = {"command": command, "commit": commit(), "hardware": hardware()}
    now = [cell_of(run) for run in runs if run.finished(levels)]
    report(out, options.task, merged(before, now, order), about)
    _conclude(failed, completed)


def planned(options: Comparison, extra: tuple[str, ...]) -> tuple[list[Run], tuple[int, ...]]:
    """Return the runs of a comparison, and the levels that they are scored at.

    Raises:
        ValueError: an option is impossible, or a package is missing.
    """
    if options.task not in TASKS:
        raise ValueError(f"TASK {options.task!r} is unknown: choose one of {', '.join(TASKS)}")
    task = TASKS[options.task]
    at_least(0, jobs=options.jobs)
    total_steps = options.total_steps
    if total_steps is None:
        total_steps = task.compared_for or task().train.total_steps
    at_least(1, total_steps=total_steps)
    agents = task.compared if options.agents is None else options.agents
    for option, given in (("agents", agents), ("seeds", options.seeds)):
        if not given:
            raise ValueError(f"--{option} is empty: give one or more")
    installed("matplotlib", "scipy")
    own = ("--track",) if options.track else ()
    runs = [
        Run(options.task, *variant(words), seed, folder_of(options), total_steps, extra, own)
        for seed in dict.fromkeys(options.seeds)
        for words in dict.fromkeys(agents)
    ]
    return runs, options.levels or task.scored_at


def folder_of(options: Comparison) -> Path:
    """Return the folder of a comparison."""
    return options.out or Path("runs") / f"compare-{options.task}"


def _conclude(failed: list[Run], completed: bool) -> None:
    """Report what went wrong, if anything, and exit accordingly."""
    if not completed:
        print("Stopped; every run has saved what it learned. Give the same command to go on.")
        raise SystemExit(130)
    for run in failed:
        last = run.log.read_text().strip().splitlines()[-1:]
        print(f"failed: {run.name}: {' '.join(last)} (see {run.log})", file=sys.stderr)
    if failed:
        raise SystemExit(1)
