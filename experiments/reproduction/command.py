"""The command `reproduce`: make the runs of the documentation's results, and write its numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from experiments.command_line.errors import at_least, installed, known
from experiments.comparison.check import make_writable_folder
from experiments.comparison.command import exit_on_failure
from experiments.comparison.run_all import run_all
from experiments.comparison.runs import Run
from experiments.reproduction.figures import draw_figures
from experiments.reproduction.films import make_film
from experiments.reproduction.listing import print_list
from experiments.reproduction.measured import measured_file, read_measured, write_measured
from experiments.reproduction.pages import MEASURED, write_pages
from experiments.reproduction.result import Result
from experiments.reproduction.results import RESULTS
from rl_expire.runs.provenance import commit

CHECKOUT = Path(__file__).parents[2]
"""The checkout that this file is in."""


def reproduce(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    out: Path = Path("runs") / "reproduce",
    jobs: int = 0,
    seeds: tuple[int, ...] = (),
    agents: tuple[str, ...] = (),
    list: bool = False,
    write: bool = False,
    checkout: Path | None = None,
) -> None:
    """Make the runs behind the results of the documentation, then write its numbers from them.

    Finished runs are not made again, interrupted ones continue: Ctrl-C loses nothing.

    Args:
        names: Results, in the order in which to make them; by default all, what matters most first.
        out: Folder of all runs.
        jobs: Runs at a time, each on one CPU thread; 0: one per core.
        seeds: Seeds of each row; by default the result's own.
        agents: Rows to make, by their agents as in `compare`; by default all.
        list: Print the commands of the runs and what is done already; make nothing.
        write: Make no runs and no films: only write what is finished in OUT or was measured
            before.
        checkout: Folder whose README.md and docs/ are written; by default that of the program.
    """
    at_least(0, jobs=jobs)
    at_least(0, seeds=min(seeds, default=0))
    chosen = chosen_runs(names, agents, seeds, out)
    if list:
        print_list(chosen)
        return
    installed("matplotlib", "scipy")
    checkout = checkout or CHECKOUT
    if not (checkout / "docs").is_dir():
        raise ValueError(f"checkout {checkout} has no docs/: choose the folder of a checkout")
    write_pages(checkout)  # a mark that cannot be filled is better found before than after days
    if write:
        for result, runs in chosen.items():
            write_result(checkout, result, runs)
    else:
        make(chosen, checkout, out, jobs or os.cpu_count() or 1)


def chosen_runs(
    names: Sequence[str], agents: Sequence[str], seeds: Sequence[int], out: Path
) -> dict[Result, list[Run]]:
    """Return the runs to make of each result, in order.

    Args:
        names: of results; none for all.
        agents: rows to make; none for all.
        seeds: seeds of each row; none for the result's own.
        out: folder of all runs.

    Raises:
        ValueError: a result or an agent is unknown.
    """
    by_name = {result.name: result for result in RESULTS}
    results = [known(name, by_name, "result") for name in dict.fromkeys(names)] or RESULTS
    rows = {row.agent: row for result in results for row in result.rows}
    variants = [known(agent, rows, "agent of these results").agent for agent in agents or rows]
    chosen = {
        result: [run for run in result.runs(out, seeds) if run.variant in variants]
        for result in results
    }
    return {result: runs for result, runs in chosen.items() if runs}


def make(chosen: Mapping[Result, Sequence[Run]], checkout: Path, out: Path, jobs: int) -> None:
    """Make the runs of one result after the other, and write each once its runs are made.

    Args:
        chosen: the runs of each result.
        checkout: folder whose documentation is written.
        out: folder of all runs.
        jobs: runs at a time.

    Raises:
        SystemExit: a run failed, or Ctrl-C; what is finished has been written.
    """
    make_writable_folder(out)
    if commit().endswith("+"):
        print(f"note: there are uncommitted changes, so commits are marked with +: {commit()}")
    failed: list[Run] = []
    for number, (result, runs) in enumerate(chosen.items(), start=1):
        print(f"{number} of {len(chosen)}: {result.name}: {result.title}", flush=True)
        failed_now, completed = run_all(runs, result.levels, jobs)
        failed += failed_now
        if completed:
            make_film(checkout / MEASURED, result, runs)
        write_result(checkout, result, runs)
        if not completed:
            exit_on_failure([], completed)
    exit_on_failure(failed, completed=True)


def write_result(checkout: Path, result: Result, runs: Sequence[Run]) -> None:
    """Write what was measured of a result into the documentation of a checkout."""
    folder = checkout / MEASURED
    if write_measured(folder, result, runs):
        print(f"wrote {measured_file(folder, result)}")
        draw_figures(folder, result, read_measured(folder, result))
    for page in write_pages(checkout):
        print(f"wrote {page}")
