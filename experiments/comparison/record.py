"""The record of a run: everything that a comparison reports about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.comparison.metrics import read_metrics
from experiments.comparison.options import resolved
from experiments.comparison.runs import Run
from rl_expire.learning.recent_episodes import WINDOW
from rl_expire.runs.json_file import read_json, read_results

Record = dict[str, Any]
"""An entry of `runs` in `comparison.json`."""
NEARLY_SOLVED = 0.95
"""Share of the oracle's return at which the time to solve a task is taken."""


def read_record(run: Run) -> Record:
    """Return the results, scores by level and learning curve of a finished run."""
    folder = run.folder
    results = read_results(folder.results)
    levels = read_json(folder.levels)["levels"] if folder.levels.exists() else []
    config = read_json(folder.config)
    env = config["env"]
    measure = env["measure"]
    # A task of one level has nothing that sets it; metrics call its level 1.
    level_option = env["level"][0] if env["level"] else "level"
    goal = env["options"].get(level_option, 1)
    metrics = read_metrics(folder.metrics)
    # `success` is that of all episodes; the curriculum judges other measures by the harder half.
    score = "success" if measure == "success" else "upper_half_success"
    return {
        "variant": run.variant,
        "seed": run.seed,
        "command": run.reproduce,
        "options": resolved(config),
        "results": results,
        "levels": sorted(levels, key=lambda row: row["level"]),
        "level_name": level_option.replace("_", " "),
        "goal": goal,
        "measure": measure,
        "curve": [
            {
                "steps": line["steps"],
                "level": line["level"],
                "score": line[score],
                "held": memories_held(line),
            }
            for line in metrics
        ],
        "minutes_to_solve": minutes_to_solve(metrics, goal, results["oracle.return_mean"]),
    }


def memories_held(line: Mapping[str, Any]) -> float | None:
    """Return the mean number of memories in all layers; None for an agent that has none."""
    held = [value for name, value in line.items() if name.startswith("kept/")]
    return sum(held) if held and None not in held else None


def minutes_to_solve(metrics: Sequence[dict[str, Any]], goal: int, oracle: float | None) -> float:
    """Return the minutes of training until the full task gave 95 % of the oracle's return.

    The return is the mean over as many episodes of the full task as the metrics average over.

    Args:
        metrics: lines of `metrics.jsonl`.
        goal: level of the full task.
        oracle: mean return of the oracle; None or NaN without one.

    Returns:
        NaN if it never did, or without an oracle.
    """
    if oracle is None:
        return math.nan
    for line in metrics:
        measured = line["level"] >= goal and line.get("episodes", WINDOW) >= WINDOW
        if measured and line["return"] is not None and line["return"] >= NEARLY_SOLVED * oracle:
            return line["seconds"] / 60
    return math.nan


def share_of_oracle(record: Record) -> float:
    """Return the mean return as a share of the oracle's; NaN without an oracle."""
    oracle = record["results"]["oracle.return_mean"]
    return record["results"]["eval.return_mean"] / oracle if oracle else math.nan


def at_hardest(record: Record) -> dict[str, Any]:
    """Return the scores at the level nearest to the full task's."""
    return min(record["levels"], key=lambda row: abs(row["level"] - record["goal"]))
