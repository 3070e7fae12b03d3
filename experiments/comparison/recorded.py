"""Runs of an earlier comparison, on whatever machine: one begun there can be ended here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.comparison.cell import Cell
from experiments.comparison.runs import Run, has_all

KEYS = {"variant", "seed", "command", "curve", "results", "levels", "minutes_to_solve"}


def recorded(path: Path) -> list[Cell]:
    """Return the runs that the `comparison.json` at `path` tells of.

    Raises:
        ValueError: there is no such file, or it is no comparison.
    """
    try:
        cells = json.loads(path.read_text())["runs"]
        if not all(cell.keys() >= KEYS for cell in cells):
            raise KeyError(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"--earlier {path} is no comparison: give the comparison.json of one"
        ) from error
    return cells


def left_to_do(runs: Sequence[Run], earlier: Sequence[Cell], levels: Sequence[int]) -> list[Run]:
    """Return those of `runs` that have not been made `earlier` and scored at all of `levels`.

    A run whose own folder is there counts by that, whatever has been recorded.

    Raises:
        ValueError: one of them was made by another command.
    """
    by_key = {(cell["variant"], cell["seed"]): cell for cell in earlier}
    left = []
    for run in runs:
        cell = by_key.get((run.variant, run.seed))
        if cell is None or run.folder.path.exists():
            left.append(run)
        elif cell["command"] != run.reproduce:
            raise ValueError(
                f"--earlier has {run.name}, made by {cell['command']!r}: "
                "give the same options, or leave it out"
            )
        elif not has_all(levels, cell["levels"]):
            left.append(run)
    return left


def merged(earlier: Sequence[Cell], now: Sequence[Cell], order: Sequence[str]) -> list[Cell]:
    """Return all runs, those made `now` in the place of the same ones made `earlier`.

    Variants come in the given `order`, any others after them.
    """
    by_key = {(cell["variant"], cell["seed"]): cell for cell in [*earlier, *now]}
    variants = list(dict.fromkeys([*order, *(variant for variant, _ in by_key)]))
    return [by_key[key] for key in sorted(by_key, key=lambda key: (variants.index(key[0]), key[1]))]
