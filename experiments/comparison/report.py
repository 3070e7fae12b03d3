"""What a comparison comes to: comparison.json, from the folders of its finished runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.comparison.plots import plot_all
from experiments.comparison.recorded import Cell
from experiments.comparison.runs import Run, read_metrics
from experiments.comparison.table import markdown, print_rows
from rl_expire.runs.run_folder import write_json
from rl_expire.scoring.statistics import estimate

CLOSE = 0.95
"""Share of the oracle's return that counts as having solved the task, for the time it took."""


def report(out: Path, task: str, cells: list[Cell], about: dict[str, Any]) -> None:
    """Write comparison.json, table.md and the plots into `out`, and print the table.

    Args:
        out: the comparison's folder.
        task: the experiment's name.
        cells: its finished runs, by variant; without any, nothing is written.
        about: what else to keep, such as the command, the commit and the hardware.
    """
    if not cells:
        return
    # Runs made earlier, or elsewhere, are not the work of the commit and machine of this report.
    about = about | {f"{name}_of_runs": among(cells, name) for name in ("commit", "hardware")}
    variants = list(dict.fromkeys(c["variant"] for c in cells))
    rows = [row([c for c in cells if c["variant"] == variant]) for variant in variants]
    write_json(out / "comparison.json", {**about, "rows": rows, "runs": cells})
    print_rows(rows, task)
    (out / "table.md").write_text(markdown(rows, about))
    plot_all(out, cells)
    print(f"comparison.json, table.md and plots are in {out}")


def among(cells: list[Cell], name: str) -> str:
    """Return the different values that `name` has in the runs' results."""
    return "; ".join(dict.fromkeys(str(c["results"][name]) for c in cells))


def cell_of(run: Run) -> Cell:
    """Return what one run showed."""
    folder = run.folder
    results = json.loads(folder.results.read_text())
    levels = json.loads(folder.levels.read_text())["levels"]
    config = json.loads(folder.config.read_text())
    goal = config["env"]["options"][config["env"]["level"][0]]
    metrics = read_metrics(folder.metrics)
    measure = config["env"]["measure"]
    # While training, what the curriculum is judged by; success is that of all episodes.
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


def row(cells: list[Cell]) -> dict[str, Any]:
    """Return a variant's estimates over its seeds."""

    def over(pick: Callable[[Cell], float]) -> dict[str, Any]:
        return asdict(estimate([pick(c) for c in cells]))

    def result(name: str) -> dict[str, Any]:
        return over(lambda c: c["results"][name])

    def level_by_level() -> dict[str, Any]:
        scores: dict[int, list[float]] = {}
        for c in cells:
            for line in c["levels"]:
                scores.setdefault(line["level"], []).append(line[c["measure"]])
        return {str(level): asdict(estimate(found)) for level, found in sorted(scores.items())}

    def layers(name: str) -> list[dict[str, Any]]:
        count = len(cells[0]["results"][name])
        return [over(lambda c, n=n: c["results"][name][n]) for n in range(count)]

    return {
        "variant": cells[0]["variant"],
        "seeds": [c["seed"] for c in cells],
        "command": cells[0]["command"],
        "parameters": cells[0]["results"]["parameters"],
        "level_name": cells[0]["level_name"],
        "measure": cells[0]["measure"],
        "levels": level_by_level(),
        "goal": cells[0]["goal"],
        "acting_level": hardest(cells[0])["level"],
        "solved": sum(c["results"]["train.solved"] for c in cells),
        "success": result("eval.success"),
        "success_at_hardest": result("eval.success_at_hardest"),
        "success_sampled": result("eval_sampled.success"),
        "share_of_oracle": over(share_of_oracle),
        "share_sampled": result("eval_sampled.share"),
        "recall": result("eval.recall"),
        "recall_per_layer": layers("eval.recall_per_layer"),
        "precision": result("eval.precision"),
        "precision_per_layer": layers("eval.precision_per_layer"),
        "kept_per_layer": layers("eval.kept_per_layer"),
        "kept_at_decision_per_layer": layers("eval.kept_at_decision_per_layer"),
        "withdrawn_held": result("eval.withdrawn_held"),
        "bytes_held": result("eval.bytes_held"),
        "steps": result("train.steps"),
        "steps_per_second": result("train.steps_per_second"),
        "minutes": over(lambda c: c["results"]["train.seconds"] / 60),
        "minutes_to_solve": over(lambda c: c["minutes_to_solve"]),
        "acting_steps_per_second": over(lambda c: hardest(c)["acting_steps_per_second"]),
    }


def share_of_oracle(cell: Cell) -> float:
    """Return the run's mean return over the oracle's; NaN where there is no oracle."""
    oracle = cell["results"]["oracle.return_mean"]
    return cell["results"]["eval.return_mean"] / oracle if oracle else math.nan


def hardest(cell: Cell) -> dict[str, Any]:
    """Return the scores at the level nearest to the hardest one trained on."""
    return min(cell["levels"], key=lambda level: abs(level["level"] - cell["goal"]))
