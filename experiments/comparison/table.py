"""The table of a comparison: one row per variant, on the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.scoring.measures import MEASURES, Measure, text_of
from rl_expire.scoring.statistics import MIN_BOOTSTRAP

SCORE_DIGITS = 3
"""Decimals of measures that are scores from 0 to 1."""
Row = dict[str, Any]
"""A row of `comparison.json`."""


def with_interval(e: dict[str, Any], digits: int = 3) -> str:
    """Format a mean and, if known, its interval; a dash for NaN."""
    if math.isnan(e["mean"]):
        return "-"
    interval = "" if math.isnan(e["low"]) else f" [{e['low']:.{digits}f}, {e['high']:.{digits}f}]"
    return f"{e['mean']:.{digits}f}{interval}"


def mean_of(e: dict[str, Any], digits: int = 0) -> str:
    """Format a mean; a dash for NaN."""
    return text_of(e["mean"], digits)


def iqm(e: dict[str, Any]) -> str:
    """Format an interquartile mean; a dash for fewer than four seeds, where it is the mean."""
    return text_of(e["iqm"], SCORE_DIGITS) if e["n"] >= 4 else "-"


def brackets(rows: list[Row]) -> str:
    """Return what the numbers in brackets are."""
    if min(len(row["seeds"]) for row in rows) < MIN_BOOTSTRAP:
        return "lowest and highest seed"
    return "bootstrap 95 % confidence interval"


def minutes_to_solve(row: Row) -> str:
    """Format the minutes, and how many seeds solved the task if not all did."""
    e, seeds = row["minutes_to_solve"], len(row["seeds"])
    return mean_of(e, 1) + (f" ({e['n']} of {seeds})" if 0 < e["n"] < seeds else "")


def column_of(measure: Measure) -> Callable[[Row], str]:
    """Return the function that formats a measure: scores with intervals, others as means."""

    def text(row: Row) -> str:
        """Format the measure's estimate, or one per layer."""
        estimate = row["scores"][measure.key]
        if isinstance(estimate, list):
            return text_of([e["mean"] for e in estimate], measure.digits)
        if measure.digits == SCORE_DIGITS:
            return with_interval(estimate)
        return mean_of(estimate, measure.digits)

    return text


COLUMNS: dict[str, Callable[[Row], str]] = {
    "agent": lambda r: r["variant"],
    **{m.column: column_of(m) for m in MEASURES if m.column},
    "of the oracle": lambda r: with_interval(r["share_of_oracle"]),
    "IQM of success": lambda r: iqm(r["scores"]["eval.success"]),
    "IQM at the hardest": lambda r: iqm(r["scores"]["eval.success_at_hardest"]),
    "solved": lambda r: f"{r['solved']} of {len(r['seeds'])}",
    "parameters": lambda r: f"{r['parameters']:,}",
    "steps (M)": lambda r: text_of(r["steps"]["mean"] / 1e6, 2),
    "training steps/s": lambda r: mean_of(r["steps_per_second"]),
    "minutes": lambda r: mean_of(r["minutes"], 1),
    "minutes to 95 %": minutes_to_solve,
    "acting steps/s": lambda r: mean_of(r["acting_steps_per_second"]),
    "commit": lambda r: r["commit"],
    "one of its runs": lambda r: f"`{r['command']}`",
}
"""Columns of the Markdown table, and the functions that format them."""
PRINTED = (
    "agent",
    "success",
    "at the hardest",
    "solved",
    "held at the decision",
    "minutes to 95 %",
)
"""Columns of the table on the terminal."""
SCORED_BY = {"success": "success", "share": "share of perfect memory's return"}
"""What a task's measure is called in tables and plots."""
LEGEND = """\
Means over seeds, in brackets the {brackets}. IQM: interquartile
mean, of four seeds and more. All episodes are greedy unless marked as sampled.
- success, share: over the whole task; at the hardest: at {level_name} {goal} only.
- share: return as a share of the mean return of perfect memory, which is known exactly.
- of the oracle: return as a share of that of a scripted player with perfect memory.
- sampled: over the whole task, with actions sampled from the policy.
- held: memories per layer, mean over steps; at the decision: at the end of the hardest episodes.
- recall: share of the relevant observations that are held at decisions.
- precision: share of the memories held at decisions that is relevant.
- withdrawn, held: share of the withdrawn instructions that are still held at the end of an episode.
- bytes: memory of one environment, mean over steps.
- solved: number of seeds that solved the full task in training.
- minutes to 95 %: wall-clock time until training at the full task gave 95 % of the oracle's return,
  over the seeds that got there.
- acting steps/s: at {level_name} {acting_level}, while other runs share the machine; `bench agents`
  times agents side by side.
"""
"""Explanation of the columns."""


def print_rows(rows: list[Row], task: str) -> None:
    """Print a table that fits a terminal, and the command of one run of each row."""
    table = Table(title=f"{task}: mean over seeds [{brackets(rows)}]")
    for name in PRINTED:
        is_agent = name == "agent"
        table.add_column(name, justify="left" if is_agent else "right", no_wrap=is_agent)
    for row in rows:
        table.add_row(*(COLUMNS[name](row) for name in PRINTED))
    console = Console()
    console.print(table)
    for row in rows:
        console.print(f"{row['variant']}: {row['command']}", soft_wrap=True, highlight=False)


def markdown_table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def markdown(rows: list[Row], about: dict[str, Any]) -> str:
    """Return `table.md`: the table, its legend, the scores at each level, and `about`."""
    levels = sorted({level for row in rows for level in row["levels"]}, key=int)
    scores = [
        [
            r["variant"],
            *(with_interval(r["levels"][n]) if n in r["levels"] else "-" for n in levels),
        ]
        for r in rows
    ]
    lines = [
        *markdown_table(list(COLUMNS), [[text(row) for text in COLUMNS.values()] for row in rows]),
        "",
        LEGEND.format(**rows[0], brackets=brackets(rows)),
        f"Level by level, greedy: {SCORED_BY[rows[0]['measure']]}, by {rows[0]['level_name']}.",
        "",
        *markdown_table(["agent", *levels], scores),
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in about.items()),
        "",
    ]
    return "\n".join(lines)
