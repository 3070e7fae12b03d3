"""List results: the commands of their runs, and what is done already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.comparison.runs import Run
from experiments.reproduction.result import Result
from rl_expire.runs.json_file import read_json, read_results


def print_list(results: Mapping[Result, Sequence[Run]]) -> None:
    """Print each result with the state and the command of each of its runs."""
    for result, runs in results.items():
        done = sum(run.is_finished(result.levels) for run in runs)
        print(f"{result.name}: {result.title} ({done} of {len(runs)} runs done)")
        for run in runs:
            print(f"  {state_of(run, result.levels):20} {run.reproduce}")
        if result.levels:
            levels = " ".join(map(str, result.levels))
            print(f"  {'then':20} rl-expire levels RUN --levels {levels}")


def state_of(run: Run, levels: Sequence[int]) -> str:
    """Return what is done of a run, and at which commit."""
    if run.folder.results.exists():
        state = "done" if run.is_finished(levels) else "to score"
        return f"{state}, {read_results(run.folder.results)['commit']}"
    if run.folder.checkpoints.exist:
        return f"begun, {read_json(run.folder.config)['commit']}"
    return "to do"
