"""Report a comparison: comparison.json, table.md and plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

from experiments.comparison.plots import plot_all
from experiments.comparison.record import Record, at_hardest, share_of_oracle
from experiments.comparison.table import markdown, print_rows
from experiments.scoring.measures import MEASURES
from rl_expire.runs.json_file import write_json
from rl_expire.scoring.statistics import estimate

Summary = dict[str, Any]
"""An `Estimate` as a dictionary."""


def write_report(out: Path, task: str, records: list[Record], about: dict[str, Any]) -> None:
    """Write comparison.json, table.md and the plots, and print the table.

    Args:
        out: folder of the comparison.
        task: name of the task.
        records: one per finished run; without any, nothing is written.
        about: further entries of `comparison.json`, such as the command, commit and hardware.
    """
    if not records:
        return
    # Earlier runs have a commit and a machine of their own.
    about = about | {f"{key}_of_runs": distinct(records, key) for key in ("commit", "hardware")}
    variants = dict.fromkeys(record["variant"] for record in records)
    rows = [row_of([r for r in records if r["variant"] == variant]) for variant in variants]
    write_json(out / "comparison.json", {**about, "rows": rows, "runs": records})
    print_rows(rows, task)
    (out / "table.md").write_text(markdown(rows, about))
    plot_all(out, records)
    print(f"comparison.json, table.md and plots are in {out}")


def distinct(records: Sequence[Record], key: str) -> str:
    """Return the different values of one result, separated by semicolons."""
    return "; ".join(dict.fromkeys(str(record["results"][key]) for record in records))


def row_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return the row of one variant: estimates over its seeds."""
    first = records[0]

    def over(value_of: Callable[[Record], float | None]) -> Summary:
        """Summarise one number of each record."""
        return asdict(estimate([value_of(record) for record in records]))

    return {
        "variant": first["variant"],
        "seeds": [record["seed"] for record in records],
        "commit": distinct(records, "commit"),
        "command": first["command"],
        "parameters": first["results"]["parameters"],
        "level_name": first["level_name"],
        "measure": first["measure"],
        "levels": by_level(records),
        "goal": first["goal"],
        "acting_level": at_hardest(first)["level"],
        "solved": sum(record["results"]["train.solved"] for record in records),
        "scores": {measure.key: over_seeds(records, measure.key) for measure in MEASURES},
        "share_of_oracle": over(share_of_oracle),
        "steps": over_seeds(records, "train.steps"),
        "steps_per_second": over_seeds(records, "train.steps_per_second"),
        "minutes": over(lambda record: record["results"]["train.seconds"] / 60),
        "minutes_to_solve": over(lambda record: record["minutes_to_solve"]),
        "acting_steps_per_second": over(lambda r: at_hardest(r)["acting_steps_per_second"]),
    }


def over_seeds(records: Sequence[Record], key: str) -> Summary | list[Summary]:
    """Summarise one result, or each layer's; records that lack it are left out."""
    values = [record["results"][key] for record in records if key in record["results"]]
    if values and isinstance(values[0], list):
        return [asdict(estimate(layer)) for layer in zip_longest(*values)]
    return asdict(estimate(values))


def by_level(records: Sequence[Record]) -> dict[str, Summary]:
    """Summarise the scores at each level, by the task's measure."""
    scores: dict[int, list[float | None]] = {}
    for record in records:
        for row in record["levels"]:
            scores.setdefault(row["level"], []).append(row[record["measure"]])
    return {str(level): asdict(estimate(values)) for level, values in sorted(scores.items())}
