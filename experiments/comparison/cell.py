"""One run of a comparison, read from its folder."""

from __future__ import annotations

import json
import math
from typing import Any

from experiments.comparison.runs import Run, read_metrics
from rl_expire.runs.json_file import read_results

Cell = dict[str, Any]
"""What `comparison.json` holds of a run."""
CLOSE = 0.95
"""Share of the oracle's return that counts as having solved the task, for the time it took."""


def cell_of(run: Run) -> Cell:
    """Return the results, scores by level and learning curve of a finished run."""
    folder = run.folder
    results = read_results(folder.results)
    levels = json.loads(folder.levels.read_text())["levels"]
    config = json.loads(folder.config.read_text())
    goal = config["env"]["options"][config["env"]["level"][0]]
    metrics = read_metrics(folder.metrics)
    measure = config["env"]["measure"]
    # During training the curriculum is judged by the measure; success is that of all episodes.
    score = "success" if measure == "success" else "upper_half_success"
    oracle = results["oracle.return_mean"]
    return {
        "variant": run.variant,
        "seed": run.seed,
        "command": run.reproduce,
        "results": results,
        "levels": sorted(levels, key=lambda row: row["level"]),
        "level_name": config["env"]["level"][0].replace("_", " "),
        "goal": goal,
        "measure": measure,
        "curve": [
            {"steps": line["steps"], "level": line["level"], "score": line[score]}
            for line in metrics
        ],
        "minutes_to_solve": minutes_to_solve(metrics, goal, math.nan if oracle is None else oracle),
    }


def minutes_to_solve(metrics: list[dict[str, Any]], goal: int, oracle: float) -> float:
    """Return the minutes until the full task gave 95 % of the oracle's return; NaN if never."""
    for line in metrics:
        reached = line["return"] is not None and line["return"] >= CLOSE * oracle
        if line["level"] >= goal and reached:
            return line["seconds"] / 60
    return math.nan


def share_of_oracle(cell: Cell) -> float:
    """Return the run's mean return over the oracle's; NaN without an oracle."""
    oracle = cell["results"]["oracle.return_mean"]
    return cell["results"]["eval.return_mean"] / oracle if oracle else math.nan


def at_hardest(cell: Cell) -> dict[str, Any]:
    """Return the scores at the level nearest to the hardest one trained on."""
    return min(cell["levels"], key=lambda level: abs(level["level"] - cell["goal"]))
