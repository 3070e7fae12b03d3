"""The table of a comparison: one row a variant, on the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]


def share(e: dict[str, Any]) -> str:
    """Format a mean with its interval, where there is one; a dash for NaN."""
    if math.isnan(e["mean"]):
        return "-"
    interval = "" if math.isnan(e["low"]) else f" [{e['low']:.3f}, {e['high']:.3f}]"
    return f"{e['mean']:.3f}{interval}"


def number(e: dict[str, Any], digits: int = 0) -> str:
    """Format a mean; a dash for NaN."""
    return "-" if math.isnan(e["mean"]) else f"{e['mean']:,.{digits}f}"


def layers_and_union(r: Row, name: str) -> str:
    """Format a share a layer, and of all layers together where there is more than one."""
    shares = [number(e, 3) for e in r[f"{name}_per_layer"]]
    if len(shares) < 2:
        return shares[0] if shares else "-"
    return f"{', '.join(shares)}; {number(r[name], 3)}"


def per_layer(estimates: list[dict[str, Any]]) -> str:
    """Format a mean a layer; a dash where nothing is held one by one."""
    return ", ".join(number(e, 1) for e in estimates) or "-"


def time_to_solve(r: Row) -> str:
    """Format the minutes, and of how many seeds they are if not of all."""
    e, seeds = r["minutes_to_solve"], len(r["seeds"])
    return number(e, 1) + (f" ({e['n']} of {seeds})" if 0 < e["n"] < seeds else "")


COLUMNS: dict[str, Callable[[Row], str]] = {
    "agent": lambda r: r["variant"],
    "success": lambda r: share(r["success"]),
    "IQM": lambda r: number({"mean": r["success"]["iqm"]}, 3),
    "at the hardest": lambda r: share(r["success_at_hardest"]),
    "IQM there": lambda r: number({"mean": r["success_at_hardest"]["iqm"]}, 3),
    "sampled": lambda r: share(r["success_sampled"]),
    "of the oracle": lambda r: share(r["share_of_oracle"]),
    "sampled, of the ceiling": lambda r: share(r["share_sampled"]),
    "solved": lambda r: f"{r['solved']} of {len(r['seeds'])}",
    "kept": lambda r: per_layer(r["kept_per_layer"]),
    "kept at the decision": lambda r: per_layer(r["kept_at_decision_per_layer"]),
    "recall": lambda r: layers_and_union(r, "recall"),
    "precision": lambda r: layers_and_union(r, "precision"),
    "withdrawn, held": lambda r: number(r["withdrawn_held"], 3),
    "bytes": lambda r: number(r["bytes_held"]),
    "parameters": lambda r: f"{r['parameters']:,}",
    "steps (M)": lambda r: number({"mean": r["steps"]["mean"] / 1e6}, 2),
    "training steps/s": lambda r: number(r["steps_per_second"]),
    "minutes": lambda r: number(r["minutes"], 1),
    "minutes to 95 %": time_to_solve,
    "acting steps/s": lambda r: number(r["acting_steps_per_second"]),
    "one of its runs": lambda r: f"`{r['command']}`",
}
"""The table's columns, and how each is written."""
PRINTED = (
    "agent",
    "success",
    "at the hardest",
    "solved",
    "kept at the decision",
    "minutes to 95 %",
)
MEASURES = {"success": "success", "share": "share of perfect memory's return"}
"""What runs are scored by."""
LEGEND = """\
Means over seeds, in brackets their bootstrap 95 % confidence interval; IQM: interquartile mean.
Success is greedy: over the whole task, and at its hardest level ({level_name} {goal}) alone;
sampled: over the whole task with actions drawn from the policy.
- of the oracle: return over that of a scripted player with perfect memory. Of the ceiling: over
  what perfect memory gets on average, exactly.
- solved: seeds whose training solved the full task. minutes to 95 %: wall clock until training at
  the full task returned 95 % of what the oracle gets, over the seeds that got there.
- kept: memories held per layer, mean over steps; at the decision: as the hardest episodes end.
- recall: observations that matter, held when something is decided; precision: memories held then,
  older than the ramp, that matter; of each layer, and after the semicolon of all together.
- withdrawn, held: instructions that were withdrawn, still held as the episode ends.
- bytes: the memory of one environment, mean over steps. steps (M): millions of environment steps.
- acting steps/s: at {level_name} {acting_level}, beside whatever else was running; bench.py agents
  times agents side by side.
"""
"""What the columns mean."""


def print_rows(rows: list[Row], task: str) -> None:
    """Print those columns of the table that fit a terminal, and the command behind each row."""
    table = Table(title=f"{task}: mean over seeds [95 % confidence interval]")
    for name in PRINTED:
        left = name == "agent"
        table.add_column(name, justify="left" if left else "right", no_wrap=left)
    for r in rows:
        table.add_row(*(COLUMNS[name](r) for name in PRINTED))
    console = Console()
    console.print(table)
    for r in rows:
        console.print(f"{r['variant']}: {r['command']}", soft_wrap=True, highlight=False)


def grid(titles: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def markdown(rows: list[Row], about: dict[str, Any]) -> str:
    """Return the table as Markdown, with what its columns mean and how it was made."""
    levels = sorted({level for r in rows for level in r["levels"]}, key=int)
    scores = [
        [r["variant"], *(share(r["levels"][n]) if n in r["levels"] else "-" for n in levels)]
        for r in rows
    ]
    lines = [
        *grid(list(COLUMNS), [[write(r) for write in COLUMNS.values()] for r in rows]),
        "",
        LEGEND.format(**rows[0]),
        f"Level by level, greedy: {MEASURES[rows[0]['measure']]}, by {rows[0]['level_name']}.",
        "",
        *grid(["agent", *levels], scores),
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in about.items()),
        "",
    ]
    return "\n".join(lines)
