"""Columns of the documentation's tables: what to say of the runs of one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from experiments.comparison.options import first_difference
from experiments.comparison.record import Record
from experiments.comparison.report import over_seeds
from experiments.comparison.table import column_of, with_interval
from experiments.scoring.measures import MEASURES, text_of
from rl_expire.scoring.statistics import estimate


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        text: returns the cell of a row, from the records of the row's runs.
    """

    title: str
    text: Callable[[Sequence[Record]], str]


def measure(key: str, title: str) -> Column:
    """Return the column of one of `MEASURES`: a score with its interval, others as means."""
    (found,) = (measure for measure in MEASURES if measure.key == key)
    text = column_of(found)
    return Column(title, lambda records: text({"scores": {key: over_seeds(records, key)}}))


def level(value: int) -> Column:
    """Return the column of success at one level, with its interval."""
    return Column(
        f"{value:,}",
        lambda records: with_interval(
            asdict(estimate([row["success"] for row in rows_at(records, value)]))
        ),
    )


def level_mean(value: int, key: str, title: str, digits: int) -> Column:
    """Return the column of the mean of another number at one level, or of one per layer."""

    def text(records: Sequence[Record]) -> str:
        """Format the mean over seeds."""
        means = over_seeds([{"results": row} for row in rows_at(records, value)], key)
        several = isinstance(means, list)
        return text_of([e["mean"] for e in means] if several else means["mean"], digits)

    return Column(title, text)


def rows_at(records: Sequence[Record], value: int) -> list[dict[str, Any]]:
    """Return what was measured at a level, one per record that was scored there."""
    return [row for record in records for row in record["levels"] if row["level"] == value]


def mean(title: str, value: Callable[[Record], float | None], digits: int) -> Column:
    """Return the column of the mean over seeds of any number of a record."""
    return Column(
        title, lambda records: text_of(estimate([value(r) for r in records]).mean, digits)
    )


def seeds(records: Sequence[Record]) -> str:
    """Return the seeds, such as `1 to 5`."""
    found = sorted(record["seed"] for record in records)
    consecutive = found == list(range(found[0], found[-1] + 1))
    if consecutive and len(found) > 2:
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found))


def solved(records: Sequence[Record]) -> str:
    """Return how many runs solved the full task in training."""
    return f"{sum(r['results']['train.solved'] for r in records)} of {len(records)}"


def origin(*tasks: Sequence[Record]) -> str:
    """Return the commits of the runs, and in bold in what they differ.

    Args:
        tasks: the runs of a row on each task; runs on different tasks may differ in options.
    """
    commits = dict.fromkeys(name for runs in tasks for run in runs for name in run["commits"])
    cell = ", ".join(f"`{name}`" for name in commits) or "unknown"
    problems = ["**commits differ**"] if len(commits) > 1 else []
    for runs in tasks:
        as_now = next((run for run in runs if not run["differs"]), runs[0])["options"]
        for run in runs:
            if difference := run["differs"] or first_difference(run["options"], as_now):
                problems.append(f"**seed {run['seed']}: {difference}**")
    return "; ".join([cell, *problems])


SUCCESS = measure("eval.success", "success")
HARDEST = measure("eval.success_at_hardest", "at the hardest")
SAMPLED = measure("eval_sampled.success", "sampled")
SHARE = measure("eval.share", "share of perfect memory's return")
SHARE_SAMPLED = measure("eval_sampled.share", "sampled")
RETURN = measure("eval.return_mean", "mean return")
RETURN_SAMPLED = measure("eval_sampled.return_mean", "sampled")
HELD = measure("eval.kept_at_decision_per_layer", "held at the last decision")
BYTES = measure("eval.bytes_held", "bytes")
RECALL = measure("eval.recall", "recall")
PRECISION = measure("eval.precision", "precision")
SOLVED = Column("solved", solved)
SEEDS = Column("seeds", seeds)
PARAMETERS = mean("parameters", lambda r: r["results"]["parameters"], 0)
STEPS = mean("million steps", lambda r: r["results"]["train.steps"] / 1e6, 2)
SPEED = mean("steps/s", lambda r: r["results"]["train.steps_per_second"], 0)
MINUTES = mean("minutes", lambda r: r["results"]["train.seconds"] / 60, 1)
ORIGIN = Column("commit", origin)
COST = (PARAMETERS, BYTES, STEPS, SPEED, MINUTES)
"""What a run takes."""
EVERY_TABLE = (SEEDS, ORIGIN)
"""Columns that no table can do without: whose numbers these are."""
