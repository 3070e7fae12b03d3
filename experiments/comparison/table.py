"""The table of a comparison: one row per variant, on the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.scoring.measures import MEASURES, Measure, text_of

Row = dict[str, Any]


def share(e: dict[str, Any], digits: int = 3) -> str:
    """Format a mean with its interval, where there is one; a dash for NaN."""
    if math.isnan(e["mean"]):
        return "-"
    interval = "" if math.isnan(e["low"]) else f" [{e['low']:.{digits}f}, {e['high']:.{digits}f}]"
    return f"{e['mean']:.{digits}f}{interval}"


def number(e: dict[str, Any], digits: int = 0) -> str:
    """Format a mean; a dash for NaN."""
    return text_of(e["mean"], digits)


def time_to_solve(r: Row) -> str:
    """Format the minutes, and the number of seeds that solved the task if not all did."""
    e, seeds = r["minutes_to_solve"], len(r["seeds"])
    return number(e, 1) + (f" ({e['n']} of {seeds})" if 0 < e["n"] < seeds else "")


def score_column(measure: Measure) -> Callable[[Row], str]:
    """Return how a measure's column is written: with its interval, or one number per layer."""

    def write(r: Row) -> str:
        found = r["scores"][measure.key]
        if isinstance(found, list):
            return text_of([e["mean"] for e in found], measure.digits)
        return share(found, measure.digits) if measure.digits == 3 else number(found)

    return write


COLUMNS: dict[str, Callable[[Row], str]] = {
    "agent": lambda r: r["variant"],
    **{m.column: score_column(m) for m in MEASURES if m.column},
    "of the oracle": lambda r: share(r["share_of_oracle"]),
    "IQM of success": lambda r: text_of(r["scores"]["eval.success"]["iqm"], 3),
    "IQM at the hardest": lambda r: text_of(r["scores"]["eval.success_at_hardest"]["iqm"], 3),
    "solved": lambda r: f"{r['solved']} of {len(r['seeds'])}",
    "parameters": lambda r: f"{r['parameters']:,}",
    "steps (M)": lambda r: text_of(r["steps"]["mean"] / 1e6, 2),
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
    "held at the decision",
    "minutes to 95 %",
)
SCORED_BY = {"success": "success", "share": "share of perfect memory's return"}
"""What runs are scored by, in words."""
LEGEND = """\
Means over seeds, in brackets their bootstrap 95 % confidence interval; IQM: interquartile mean.
Success and share are greedy: over the whole task, and at its hardest level ({level_name} {goal})
alone. Sampled: over the whole task, with actions sampled from the policy.
- share: return over what perfect memory gets on average, exactly. Of the oracle: return over that
  of a scripted player with perfect memory.
- held: memories per layer, mean over steps; at the decision: at the end of the hardest episodes.
- recall: share of the relevant observations held at decisions; precision: share of the memories
  held at decisions, older than the ramp, that are relevant; over all layers, and per layer.
- withdrawn, held: share of the withdrawn instructions still held at the end of the episode.
- bytes: memory of one environment, mean over steps. steps (M): millions of environment steps.
- solved: seeds whose training solved the full task. minutes to 95 %: wall clock until training at
  the full task returned 95 % of what the oracle gets, over the seeds that got there.
- acting steps/s: at {level_name} {acting_level}, beside whatever else was running; `bench agents`
  times agents side by side.
"""
"""What the columns mean."""


def print_rows(rows: list[Row], task: str) -> None:
    """Print the columns that fit a terminal, and the command behind each row."""
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
    """Return the table as Markdown, with the meaning of its columns and how it was made."""
    levels = sorted({level for r in rows for level in r["levels"]}, key=int)
    scores = [
        [r["variant"], *(share(r["levels"][n]) if n in r["levels"] else "-" for n in levels)]
        for r in rows
    ]
    lines = [
        *grid(list(COLUMNS), [[write(r) for write in COLUMNS.values()] for r in rows]),
        "",
        LEGEND.format(**rows[0]),
        f"Level by level, greedy: {SCORED_BY[rows[0]['measure']]}, by {rows[0]['level_name']}.",
        "",
        *grid(["agent", *levels], scores),
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in about.items()),
        "",
    ]
    return "\n".join(lines)
