"""The table of a comparison, from the folders of its finished runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compare_plots import plot_all
from compare_runs import Run, read_metrics
from rich.console import Console
from rich.table import Table

from rl_expire.run_folder import finite, write_json
from rl_expire.statistics import Estimate, estimate

CLOSE = 0.95
"""Share of the oracle's return that counts as having solved the task, for the time it took."""


def report(out: Path, runs: Sequence[Run], about: dict[str, Any]) -> None:
    """Write comparison.json, table.md and the plots into `out`, and print the table.

    Args:
        out: the comparison's folder.
        runs: its finished runs.
        about: what else to keep, such as commit and hardware.
    """
    if not runs:
        return
    cells = [cell(run) for run in runs]
    variants = list(dict.fromkeys(c["variant"] for c in cells))
    rows = [row([c for c in cells if c["variant"] == variant]) for variant in variants]
    write_json(out / "comparison.json", {**about, "rows": rows, "runs": cells})
    print_rows(rows, runs[0].task)
    (out / "table.md").write_text(markdown(rows, about))
    plot_all(out, cells)
    print(f"comparison.json, table.md and plots are in {out}")


def cell(run: Run) -> dict[str, Any]:
    """Return what one run showed."""
    folder = run.folder
    results = json.loads(folder.results.read_text())
    levels = json.loads(folder.levels.read_text())["levels"]
    config = json.loads(folder.config.read_text())
    goal = config["env"]["options"][config["env"]["level"]]
    metrics = read_metrics(folder.metrics)
    return {
        "variant": run.variant,
        "seed": run.seed,
        "command": run.reproduce,
        "results": results,
        "levels": levels,
        "level_name": config["env"]["level"],
        "goal": goal,
        "curve": [{name: line[name] for name in ("steps", "level", "success")} for line in metrics],
        "minutes_to_solve": minutes_to_solve(metrics, goal, results["oracle.return_mean"]),
    }


def minutes_to_solve(metrics: list[dict[str, Any]], goal: int, oracle: float) -> float:
    """Return the minutes until the full task gave 95 % of the oracle's return; NaN if never."""
    for line in metrics:
        reached = line["return"] is not None and line["return"] >= CLOSE * oracle
        if line["level"] >= goal and reached:
            return line["seconds"] / 60
    return math.nan


def row(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a variant's estimates over its seeds."""

    def over(pick: Callable[[dict[str, Any]], float]) -> dict[str, float]:
        return asdict(estimate([pick(c) for c in cells]))

    def result(name: str) -> dict[str, float]:
        return over(lambda c: c["results"][name])

    def total(name: str) -> dict[str, float]:
        return over(lambda c: sum(c["results"][name]) if c["results"][name] else math.nan)

    oracle = cells[0]["results"]["oracle.return_mean"]
    return {
        "variant": cells[0]["variant"],
        "seeds": [c["seed"] for c in cells],
        "command": cells[0]["command"],
        "parameters": cells[0]["results"]["parameters"],
        "solved": sum(c["results"]["train.solved"] for c in cells),
        "success": result("eval.success"),
        "success_at_hardest": result("eval.success_at_max_length"),
        "share_of_oracle": over(lambda c: c["results"]["eval.return_mean"] / oracle),
        "kept": total("eval.kept_per_layer"),
        "kept_at_decision": total("eval.kept_at_decision_per_layer"),
        "bytes_held": result("eval.bytes_held"),
        "steps": result("train.steps"),
        "steps_per_second": result("train.steps_per_second"),
        "minutes": over(lambda c: c["results"]["train.seconds"] / 60),
        "minutes_to_solve": over(lambda c: c["minutes_to_solve"]),
        "acting_steps_per_second": over(lambda c: hardest(c)["acting_steps_per_second"]),
    }


def hardest(cell: dict[str, Any]) -> dict[str, Any]:
    """Return the scores at the level nearest to the hardest one trained on."""
    return min(cell["levels"], key=lambda level: abs(level["level"] - cell["goal"]))


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "agent": lambda r: r["variant"],
    "success": lambda r: share(r["success"]),
    "at the hardest": lambda r: share(r["success_at_hardest"]),
    "IQM": lambda r: f"{r['success']['iqm']:.3f}",
    "of the oracle": lambda r: f"{100 * r['share_of_oracle']['mean']:.1f} %",
    "solved": lambda r: f"{r['solved']}/{len(r['seeds'])}",
    "kept": lambda r: number(r["kept"], 1),
    "kept at the decision": lambda r: number(r["kept_at_decision"], 1),
    "bytes": lambda r: number(r["bytes_held"], 0),
    "parameters": lambda r: f"{r['parameters']:,}",
    "steps": lambda r: f"{r['steps']['mean'] / 1e6:.1f} M",
    "minutes": lambda r: number(r["minutes"], 1),
    "minutes to 95 %": lambda r: number(r["minutes_to_solve"], 1),
    "training steps/s": lambda r: number(r["steps_per_second"], 0),
    "acting steps/s": lambda r: number(r["acting_steps_per_second"], 0),
}
"""The table's columns, and how each is written."""
PRINTED = ("agent", "success", "at the hardest", "kept at the decision", "minutes to 95 %")


def share(e: dict[str, Any]) -> str:
    """Format a mean with its interval."""
    given = Estimate(**e)
    text = f"{given.mean:.3f}"
    return text if math.isnan(given.low) else f"{text} [{given.low:.3f}, {given.high:.3f}]"


def number(e: dict[str, Any], digits: int) -> str:
    """Format a mean; a dash for NaN."""
    return "-" if math.isnan(e["mean"]) else f"{e['mean']:,.{digits}f}"


def print_rows(rows: list[dict[str, Any]], task: str) -> None:
    """Print those columns of the table that fit a terminal."""
    table = Table(title=f"{task}: mean over seeds [95 % confidence interval]")
    for name in PRINTED:
        table.add_column(name, justify="left" if name == "agent" else "right")
    for r in rows:
        table.add_row(*(COLUMNS[name](r) for name in PRINTED))
    Console().print(table)


def markdown(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """Return the table, and the command behind each row, as Markdown."""
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(write(r) for write in COLUMNS.values()) + " |" for r in rows),
        "",
        "Mean over seeds, in brackets its bootstrap 95 % confidence interval; memories are summed",
        "over layers.",
        "",
        *(f"- {name}: {value}" for name, value in finite(about).items()),
        "",
        "The first seed of each row, by itself:",
        "",
        "```",
        *(r["command"] for r in rows),
        "```",
        "",
    ]
    return "\n".join(lines)
