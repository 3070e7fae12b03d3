"""The table that a training command ends with."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.scoring.measures import MEASURES, text_of
from rl_expire.scoring.evaluation import Score


def warn_of_cut(score: Score) -> None:
    """Print a warning if episodes of an evaluation were cut off."""
    if score.cut:
        longest = max(e.steps for e in score.episodes)
        print(
            f"warning: {score.cut} of {len(score.episodes)} episodes were not over after "
            f"{longest:,} steps; they were cut off there and count as not solved",
            file=sys.stderr,
        )


def print_table(results: dict[str, Any], *, one_level: bool) -> None:
    """Print what a run achieved, from its `results.json`; `one_level`: its task has one level."""
    table = Table(
        title=f"{results['env_id']}, {results['agent']}, seed {results['seed']}: "
        f"{results['eval.episodes']:,} greedy episodes"
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    for measure in MEASURES:
        if measure.label and not (one_level and measure.levels_only):
            table.add_row(measure.label, text_of(results[measure.key], measure.digits))
    table.add_row("training steps", f"{results['train.steps']:,}")
    table.add_row("training time, minutes", f"{results['train.seconds'] / 60:.1f}")
    table.add_row("training steps/s", f"{results['train.steps_per_second']:,.0f}")
    Console().print(table)
