"""The table that a training command ends with."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.scoring.measures import MEASURES, text_of


def print_table(results: dict[str, Any]) -> None:
    """Print what a run achieved, from its `results.json`."""
    table = Table(
        title=f"{results['env_id']}, {results['agent']}, seed {results['seed']}: "
        f"{results['eval.episodes']:,} greedy episodes"
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    for measure in MEASURES:
        if measure.label:
            table.add_row(measure.label, text_of(results[measure.key], measure.digits))
    table.add_row("training steps", f"{results['train.steps']:,}")
    table.add_row("training time, minutes", f"{results['train.seconds'] / 60:.1f}")
    table.add_row("training steps/s", f"{results['train.steps_per_second']:,.0f}")
    Console().print(table)
