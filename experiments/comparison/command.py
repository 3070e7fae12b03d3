"""The command `compare`: train, score and report."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.command_line.errors import at_least, installed
from experiments.command_line.parse import Call, list_options, parse
from experiments.comparison.check import check_runs, make_writable_folder, parse_variant
from experiments.comparison.earlier import merge, read_earlier, remaining
from experiments.comparison.record import read_record
from experiments.comparison.report import write_report
from experiments.comparison.run_all import run_all
from experiments.comparison.runs import Run
from experiments.tasks import TASKS
from rl_expire.runs.provenance import commit, hardware


@dataclass(frozen=True)
class Comparison:
    """Train every agent with every seed, then write comparison.json, table.md and the plots.

    Options after `--` are passed on to every run.
    """

    task: Annotated[str, tyro.conf.Positional]
    """The task: corridor, portal, instruction, collision or tmaze."""
    agents: tuple[str, ...] | None = None
    """NAME or NAME:SIZE; the size is the window of transformer-xl and compressive, the capacity of
    expire-span and adaptive-span, or the width of lstm and gru. By default Expire-Span,
    Transformer-XL with small and large windows, LSTM and memoryless."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of each agent."""
    total_steps: int | None = None
    """Environment steps from which on no further update of a run begins; a run ends earlier once
    its task is solved and its lifetimes are learned. By default 4,000,000 for the corridor,
    elsewhere the task's own."""
    levels: tuple[int, ...] = ()
    """Levels at which the trained agents are scored one by one; by default the task's own."""
    jobs: int = 0
    """Runs at a time, each on one CPU thread; 0: one per core."""
    out: Path | None = None
    """Folder of the comparison; by default runs/compare-TASK."""
    earlier: Path | None = None
    """comparison.json of an earlier comparison, made on any machine: its runs are reported with the
    others instead of being made again."""
    track: bool = False
    """Also log to wandb, all runs in one group."""

    @property
    def folder(self) -> Path:
        """Folder of the comparison."""
        return self.out or Path("runs") / f"compare-{self.task}"


def compare_command(words: list[str], prog: str) -> Call:
    """Parse the command line of a comparison."""
    return parse_with_extra(Comparison, compare, words, prog)


def parse_with_extra(
    kind: type[Any], function: Callable[..., None], words: list[str], prog: str
) -> Call:
    """Return the call of a command that passes what follows after `--` on to every run.

    Args:
        kind: class of the options before `--`.
        function: takes the options, `extra` (further options of every run) and `command`, the
            whole command for the report.
        words: the command line's words.
        prog: name of the program.
    """
    end = words.index("--") if "--" in words else len(words)
    options = parse(kind, words[:end], prog, list_options(kind.__annotations__))
    command = f"{prog} {shlex.join(words)}"
    return partial(function, options, extra=tuple(words[end + 1 :]), command=command)


def compare(options: Comparison, *, extra: tuple[str, ...], command: str) -> None:
    """Train and score the runs that are missing, then write the report.

    Args:
        options: options of the comparison.
        extra: further options of every run.
        command: the whole command, for the report.

    Raises:
        ValueError: an option is impossible; nothing has been started or written.
        SystemExit: a run failed, or the comparison was interrupted.
    """
    runs, levels = plan(options, extra)
    run_options = check_runs(runs, levels)
    earlier = read_earlier(options.earlier) if options.earlier else []
    order = [run.variant for run in runs]
    runs = remaining(runs, run_options, earlier, levels)
    make_writable_folder(options.folder)
    failed, completed = run_all(runs, levels, options.jobs or os.cpu_count() or 1)
    new = [read_record(run) for run in runs if run.is_finished(levels)]
    about = {"command": command, "commit": commit(), "hardware": hardware()}
    write_report(options.folder, options.task, merge(earlier, new, order), about)
    exit_on_failure(failed, completed)


def plan(options: Comparison, extra: tuple[str, ...]) -> tuple[list[Run], tuple[int, ...]]:
    """Return the runs of a comparison, and the levels to score them at.

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
    for option, values in (("agents", agents), ("seeds", options.seeds)):
        if not values:
            raise ValueError(f"--{option} is empty: give one or more")
    installed("matplotlib", "scipy")
    runs = [
        Run(
            options.task,
            *parse_variant(variant),
            seed,
            options.folder,
            total_steps,
            extra,
            options.track,
        )
        for seed in dict.fromkeys(options.seeds)
        for variant in dict.fromkeys(agents)
    ]
    return runs, options.levels or task.scored_at


def exit_on_failure(failed: Sequence[Run], completed: bool) -> None:
    """Exit if not all runs are finished.

    Args:
        failed: runs that failed; each is reported with the last line of its output.
        completed: False if the comparison was interrupted.

    Raises:
        SystemExit: with code 130 after an interrupt, 1 if a run failed.
    """
    if not completed:
        print("Stopped; every run has saved what it learned. Repeat the command to continue.")
        raise SystemExit(130)
    for run in failed:
        last = run.log.read_text().strip().splitlines()[-1:]
        print(f"failed: {run.name}: {' '.join(last)} (see {run.log})", file=sys.stderr)
    if failed:
        raise SystemExit(1)
