"""Compare agents at several memory sizes, over seeds, on equal terms.

python experiments/compare.py corridor
python experiments/compare.py corridor --agents expire-span lstm --seeds 1 2 -- --env.num-cues 4

Every cell is an ordinary run of that experiment, made by the command that the table prints beside
it. What is finished is skipped and what was interrupted goes on, so the same command can be given
again at any time. Words after `--` are handed to every run.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro

from experiments import cli
from experiments.comparison.check import check, make_writable, variant
from experiments.comparison.recorded import left_to_do, merged, recorded
from experiments.comparison.report import cell_of, report
from experiments.comparison.runs import Run, run_all
from experiments.tasks import EXPERIMENTS
from rl_expire.runs.run_folder import commit, hardware


def compare(
    task: Annotated[str, tyro.conf.Positional],
    agents: tuple[str, ...] | None = None,
    seeds: tuple[int, ...] = (1, 2, 3),
    total_steps: int | None = None,
    levels: tuple[int, ...] = (),
    jobs: int = 0,
    out: Path | None = None,
    earlier: Path | None = None,
    track: bool = False,
) -> None:
    """Train every agent with every seed, then write comparison.json, table.md and the plots.

    Args:
        task: The experiment: corridor, portal or instruction.
        agents: NAME or NAME:SIZE, where the size is the window of transformer-xl and compressive,
            the capacity of expire-span and adaptive-span, or the width of lstm; by default
            Expire-Span, Transformer-XL with a small and a large window, LSTM and memoryless.
        seeds: Seeds of each.
        total_steps: The most environment steps of a run; one whose task is solved and settled, and
            that has nothing to forget, ends sooner. By default 4,000,000 for the corridor, and as
            many as any run has for the other tasks.
        levels: Levels at which the trained agents are scored one by one; by default the task's own.
        jobs: Runs at a time, each on one CPU thread; 0: as many as there are cores.
        out: Folder of the comparison; by default runs/compare-TASK.
        earlier: comparison.json of an earlier one, made here or on another machine: the runs in it
            are not made again, and reported with the others.
        track: Log to wandb as well, all runs in one group.
    """
    if task not in EXPERIMENTS:
        raise ValueError(f"TASK {task!r} is unknown: choose one of {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[task]
    cli.at_least(0, jobs=jobs)
    if total_steps is None:
        total_steps = experiment.compared_for or experiment().train.total_steps
    cli.at_least(1, total_steps=total_steps)
    levels = levels or experiment.scored_at
    agents = experiment.compared if agents is None else agents
    for option, given in (("agents", agents), ("seeds", seeds)):
        if not given:
            raise ValueError(f"--{option} is empty: give one or more")
    cli.installed("matplotlib", "scipy")
    out = out or Path("runs") / f"compare-{task}"
    ours = ("--track",) if track else ()
    runs = [
        Run(task, *variant(words), seed, out, total_steps, tuple(OPTIONS), ours)
        for seed in dict.fromkeys(seeds)
        for words in dict.fromkeys(agents)
    ]
    check(runs, levels)
    before = recorded(earlier) if earlier else []
    order = [run.variant for run in runs]
    runs = left_to_do(runs, before, levels)
    make_writable(out)
    failed, seen_through = run_all(runs, levels, jobs or os.cpu_count() or 1)
    command = shlex.join(["python", "experiments/compare.py", *sys.argv[1:]])
    about = {"command": command, "commit": commit(), "hardware": hardware()}
    now = [cell_of(run) for run in runs if run.finished(levels)]
    report(out, task, merged(before, now, order), about)
    _conclude(failed, seen_through)


def _conclude(failed: list[Run], seen_through: bool) -> None:
    """Say what has gone wrong, if anything, and exit accordingly."""
    if not seen_through:
        print("Stopped; every run has saved what it learned. Give the same command to go on.")
        raise SystemExit(130)
    for run in failed:
        said = run.log.read_text().strip().splitlines()[-1:]
        print(f"failed: {run.name}: {' '.join(said)} (see {run.log})", file=sys.stderr)
    if failed:
        raise SystemExit(1)


OPTIONS: list[str] = []
"""The words after `--` on the command line, handed to every run."""


def main() -> None:
    """Run the command line; words after `--` are handed to every run."""
    words = sys.argv[1:]
    OPTIONS.clear()
    if "--" in words:
        OPTIONS.extend(words[words.index("--") + 1 :])
        words = words[: words.index("--")]
    cli.run(compare, words)
