"""Figures of the documentation, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.comparison.plots import plot_all
from experiments.comparison.record import Record
from experiments.reproduction.result import Result
from experiments.tasks import TASKS


def figures_of(result: Result) -> tuple[str, ...]:
    """Return the names of a result's figures: success by level, or how levels were learned."""
    if result.levels:
        return ("score_against_length",)
    return ("learning_curves",) if result.task in TASKS else ()  # others have one level


def draw_figures(folder: Path, result: Result, records: Sequence[Record]) -> None:
    """Draw the figures of a result as SVG.

    Args:
        folder: folder of the measured figures of all results; the result has one of its own in it.
        result: the result.
        records: of its runs.
    """
    labels = {row.agent: row.label for row in result.rows}
    shown = [r | {"variant": labels[r["variant"]]} for r in records if r["variant"] in labels]
    own = folder / result.name
    if shown and figures_of(result):
        own.mkdir(parents=True, exist_ok=True)
        plot_all(own, shown, figures_of(result), ("svg",))
