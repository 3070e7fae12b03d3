"""What a result is: its runs, how they are scored, and the columns of its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.comparison.check import parse_variant
from experiments.comparison.runs import Run
from experiments.reproduction.columns import Column


@dataclass(frozen=True)
class Row:
    """A row of a table: an agent, trained with every seed.

    Attributes:
        agent: NAME or NAME:SIZE, as in `compare`.
        label: what tables call it.
        options: further options of its runs.
    """

    agent: str
    label: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Film:
    """A film of one episode of the first row's agent, trained with its first seed.

    Attributes:
        episode: seed of the episode.
        level: its difficulty; None: as in training.
    """

    episode: int
    level: int | None = None


@dataclass(frozen=True)
class Result:
    """One result of the documentation.

    Attributes:
        name: its name on the command line, in marks and in file names.
        title: what it is about.
        task: name of the task, or id of any other environment.
        rows: of its table.
        columns: of its table, besides those that every table has.
        options: options of all its runs.
        total_steps: budget of each run, in environment steps; None for the task's default.
        seeds: seeds of each row.
        levels: levels at which the trained agents are scored one by one.
        folder: folder of the runs, which results may share; empty for `name`.
        film: what to film; None for nothing.
    """

    name: str
    title: str
    task: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    options: tuple[str, ...] = ()
    total_steps: int | None = None
    seeds: tuple[int, ...] = (1, 2, 3)
    levels: tuple[int, ...] = ()
    folder: str = ""
    film: Film | None = None

    def runs(self, out: Path, seeds: Sequence[int] = ()) -> list[Run]:
        """Return the runs, row by row.

        Args:
            out: folder of all results.
            seeds: seeds of each row; by default the result's own.
        """
        return [self.run(row, seed, out) for row in self.rows for seed in seeds or self.seeds]

    def run(self, row: Row, seed: int, out: Path) -> Run:
        """Return one run of a row."""
        folder, options = out / (self.folder or self.name), (*self.options, *row.options)
        return Run(self.task, *parse_variant(row.agent), seed, folder, self.total_steps, options)
