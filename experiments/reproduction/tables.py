"""Tables of the documentation, as Markdown, from what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.comparison.record import Record
from experiments.comparison.table import markdown_table
from experiments.reproduction.columns import EVERY_TABLE, Column
from experiments.reproduction.result import Result, Row

NOT_MEASURED = "not measured yet"
Read = Callable[[Result], list[Record]]
"""Return what was measured of a result."""


@dataclass(frozen=True)
class Table:
    """A table of a result.

    Attributes:
        name: its name in marks.
        result: what it shows.
        columns: besides those that every table has.
    """

    name: str
    result: Result
    columns: tuple[Column, ...]

    def markdown(self, read: Read) -> str:
        """Return the whole table, and a line on how its numbers were made."""
        records = read(self.result)
        columns = (*self.columns, *EVERY_TABLE)
        rows = [[row.label, *self._cells(row, records, columns)] for row in self.result.rows]
        titles = ["agent", *(column.title for column in columns)]
        return "\n".join([*markdown_table(titles, rows), "", made_by(self.result, records)])

    def cell(self, label: str, title: str, read: Read) -> str:
        """Return one cell, by the labels of its row and its column.

        Raises:
            ValueError: there is no such row or column.
        """
        columns = {column.title: column for column in (*self.columns, *EVERY_TABLE)}
        rows = {row.label: row for row in self.result.rows}
        for name, known in ((label, rows), (title, columns)):
            if name not in known:
                raise ValueError(f"{self.name} has no {name!r}: choose from {', '.join(known)}")
        (text,) = self._cells(rows[label], read(self.result), (columns[title],))
        return text

    def _cells(self, row: Row, records: Sequence[Record], columns: Sequence[Column]) -> list[str]:
        """Return the cells of a row."""
        own = records_of(self.result, row, records)
        if own:
            return [column.text(own) for column in columns]
        return [NOT_MEASURED, *[""] * (len(columns) - 1)]


def records_of(result: Result, row: Row, records: Sequence[Record]) -> list[Record]:
    """Return the records of a row; one that another command made says so in `differs`."""
    own = [record for record in records if record["variant"] == row.agent]
    commands = [result.run(row, record["seed"], Path()).reproduce for record in own]
    return [
        record if record["command"] == command else record | {"differs": "made by another command"}
        for record, command in zip(own, commands, strict=True)
    ]


def made_by(result: Result, records: Sequence[Record]) -> str:
    """Return a line that says how to make a table, and on what its numbers were made."""
    line = f"`rl-expire reproduce {result.name}`"
    if not records:
        return f"{line} makes this table."
    hardware = "; ".join(dict.fromkeys(record["hardware"] for record in records))
    versions = "; ".join(dict.fromkeys(_versions(record) for record in records))
    return f"{line}, on {hardware}, with {versions}."


def _versions(record: Record) -> str:
    """Return the versions of libraries, such as `torch 2.11.0, gymnasium 1.2.0`."""
    return ", ".join(f"{name} {version}" for name, version in record["versions"].items())
