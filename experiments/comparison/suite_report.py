"""Report a suite: suite.json, table.md and learning curves, one table over all tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.comparison.metrics import read_metrics
from experiments.comparison.plots import add_legend, curve_of, load_pyplot, mean_curve, styles_of
from experiments.comparison.record import Record
from experiments.comparison.runs import Run
from experiments.comparison.suites import short_name
from experiments.comparison.table import markdown_table, with_interval
from rl_expire.learning.recent_episodes import WINDOW
from rl_expire.runs.json_file import read_results, write_json
from rl_expire.scoring.statistics import estimate

FEWEST_EPISODES = 64
"""Number of episodes from which on their mean return counts: that of a few is mostly luck."""
SCORES = {
    "mmer": "MMER",
    "final_return": "final return",
}
"""Numbers of a run that are reported, and their names."""
LEGEND = f"""\
MMER, the maximum over training of the mean episodic return, is what POPGym's authors report
(Morad et al. 2023). The mean here is over the last {WINDOW} training episodes, from
{FEWEST_EPISODES} on, with actions sampled. The final return is the mean over greedy episodes after
training. Both are means over seeds, in brackets the lowest and highest seed, or the bootstrap 95 %
confidence interval for five seeds and more. The last row is the mean over the tasks that all
agents have finished."""


def read_suite_record(run: Run) -> Record:
    """Return scores and learning curve of a finished run."""
    metrics, results = read_metrics(run.folder.metrics), read_results(run.folder.results)
    return {
        "task": short_name(run.task),
        "variant": run.variant,
        "seed": run.seed,
        "command": run.reproduce,
        "mmer": mmer(metrics),
        "final_return": results["eval.return_mean"],
        "results": results,
        "curve": [{"steps": line["steps"], "return": line["return"]} for line in metrics],
    }


def mmer(metrics: Sequence[dict[str, Any]]) -> float:
    """Return the maximum over training of the mean episodic return.

    Args:
        metrics: lines of `metrics.jsonl`, each with the mean of the most recent episodes.

    Returns:
        NaN if there never were `FEWEST_EPISODES`.
    """
    counted = [line["return"] for line in metrics if line["episodes"] >= FEWEST_EPISODES]
    return max((value for value in counted if value is not None), default=math.nan)


def write_suite_report(out: Path, suite: str, records: list[Record], about: dict[str, Any]) -> None:
    """Write suite.json, table.md and the learning curves, and print the table of MMER.

    Args:
        out: folder of the suite.
        suite: its name.
        records: one per finished run; without any, nothing is written.
        about: further entries of `suite.json`, such as the command, commit and hardware.
    """
    if not records:
        return
    variants = list(dict.fromkeys(record["variant"] for record in records))
    tables = {key: rows_of(records, variants, key) for key in SCORES}
    scores = {
        key: {task: dict(zip(variants, cells, strict=True)) for task, cells in rows.items()}
        for key, rows in tables.items()
    }
    write_json(out / "suite.json", {**about, "scores": scores, "runs": records})
    parts = [
        "\n".join([f"## {name}", "", *markdown_table(["task", *variants], text_rows(tables[key]))])
        for key, name in SCORES.items()
    ]
    notes = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in about.items())
    (out / "table.md").write_text("\n\n".join([*parts, LEGEND, notes]) + "\n")
    print_table(f"{suite}: {SCORES['mmer']}", variants, text_rows(tables["mmer"]))
    plot_returns(out, records, variants)
    print(f"suite.json, table.md and learning_curves are in {out}")


def rows_of(
    records: Sequence[Record], variants: Sequence[str], key: str
) -> dict[str, list[dict[str, Any]]]:
    """Return an estimate over seeds for each task and variant, and the mean over tasks."""
    values: dict[tuple[str, str], list[float | None]] = {}
    for record in records:
        values.setdefault((record["task"], record["variant"]), []).append(record[key])
    tasks = dict.fromkeys(record["task"] for record in records)
    rows = {
        task: [asdict(estimate(values.get((task, variant), []))) for variant in variants]
        for task in tasks
    }
    whole = [cells for cells in rows.values() if not any(math.isnan(e["mean"]) for e in cells)]
    means = [estimate([cells[n]["mean"] for cells in whole]).mean for n in range(len(variants))]
    nothing = {"low": math.nan, "high": math.nan}
    return rows | {f"mean of {len(whole)} tasks": [{"mean": mean, **nothing} for mean in means]}


def text_rows(rows: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Return the rows of a table as text."""
    return [[name, *(with_interval(e) for e in cells)] for name, cells in rows.items()]


def print_table(title: str, variants: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with a column per agent."""
    table = Table(title=title)
    table.add_column("task", no_wrap=True)
    for variant in variants:
        table.add_column(variant, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def plot_returns(out: Path, records: Sequence[Record], variants: Sequence[str]) -> None:
    """Draw the mean return over environment steps, one plot a task, as PNG and SVG."""
    plt, styles = load_pyplot(), styles_of(variants)
    tasks = list(dict.fromkeys(record["task"] for record in records))
    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    size = (5.5 * columns, 3.2 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for axes, task in zip(grid.flat, tasks, strict=False):
        for variant in variants:
            chosen = [r for r in records if (r["task"], r["variant"]) == (task, variant)]
            steps, means = mean_curve([curve_of(record, "return") for record in chosen])
            axes.plot(steps, means, color=styles[variant]["color"], label=variant)
        axes.set_title(task)
        axes.set_xlabel("environment steps (millions)")
        axes.set_ylabel("mean return")
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    add_legend(grid.flat[min(columns, len(tasks)) - 1])
    for suffix in ("png", "svg"):
        figure.savefig(out / f"learning_curves.{suffix}", dpi=100, bbox_inches="tight")
    plt.close(figure)
