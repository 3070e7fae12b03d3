"""Pages whose numbers are written by `rl-expire reproduce`, between marks.

A mark names a table, the pictures of a result, or a cell by the labels of its row and column:

    <!-- measured: corridor -->
    <!-- end -->
    <!-- measured: corridor / pictures -->
    <!-- end -->
    It holds <!-- measured: corridor / Expire-Span / bytes --><!-- end --> bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from experiments.command_line.errors import known
from experiments.reproduction.figures import figures_of
from experiments.reproduction.films import film_command, film_file
from experiments.reproduction.measured import read_measured
from experiments.reproduction.result import Result
from experiments.reproduction.results import TABLES
from experiments.reproduction.tables import Table
from rl_expire.runs.atomic import atomic_write

BEGIN, END = "<!-- measured: ", "<!-- end -->"
MARKED = re.compile(rf"({BEGIN}([^>]+?) -->)(.*?)({END})", re.DOTALL)
MEASURED = Path("docs") / "results" / "measured"
"""Folder of the measured figures, within a checkout."""


def pages_of(checkout: Path) -> Iterator[Path]:
    """Yield README and the pages of the documentation."""
    yield checkout / "README.md"
    for path in sorted((checkout / "docs").rglob("*.md")):
        if "_build" not in path.parts:
            yield path


def write_pages(checkout: Path) -> list[Path]:
    """Write what was measured into the pages of a checkout.

    Returns:
        The pages that have changed.

    Raises:
        ValueError: a page has a mark that cannot be filled; no page has been changed.
    """
    changed = {}
    for page in pages_of(checkout):
        before = page.read_text() if page.exists() else ""
        try:
            now = written(before, checkout / MEASURED)
        except ValueError as error:
            raise ValueError(f"{page}: {error}") from error
        if now != before:
            changed[page] = now
    for page, text in changed.items():
        with atomic_write(page) as temporary:
            temporary.write_text(text)
    return list(changed)


def written(text: str, measured: Path) -> str:
    """Return the text of a page with what was measured between its marks.

    Args:
        text: the page.
        measured: folder of the measured figures.

    Raises:
        ValueError: a mark names nothing that is known, or is not closed.
    """
    found = MARKED.findall(text)
    if len(found) != text.count(BEGIN) or any(BEGIN in inside for _, _, inside, _ in found):
        raise ValueError(f"each mark {BEGIN}NAME --> needs an {END} of its own")
    return MARKED.sub(lambda match: f"{match[1]}{filling(match[2], measured)}{match[4]}", text)


def filling(mark: str, measured: Path) -> str:
    """Return what belongs between the marks called `mark`: a table, pictures, or one cell.

    Raises:
        ValueError: there is no such table or cell.
    """
    name, *cell = mark.split(" / ")
    table = known(name, {table.name: table for table in TABLES}, "table")
    read = partial(read_measured, measured)
    if not cell:
        return f"\n{table.markdown(read)}\n"
    if isinstance(table, Table) and cell == ["pictures"]:
        return "".join(f"\n{line}\n" for line in pictures(measured, table.result)) or "\n"
    if isinstance(table, Table) and len(cell) == 2:
        return table.cell(cell[0], cell[1], read)
    raise ValueError(f"{mark!r} is no mark: write NAME, NAME / pictures, or NAME / ROW / COLUMN")


def pictures(measured: Path, result: Result) -> list[str]:
    """Return the lines of Markdown that show a result's figures and film, on a page beside them."""
    figures = [measured / result.name / f"{name}.svg" for name in figures_of(result)]
    lines = [
        f"![{result.title}]({path.relative_to(measured.parent)})"
        for path in (*figures, film_file(measured, result))
        if path.exists()
    ]
    if result.film is not None and film_file(measured, result).exists():
        lines.append(film_command(result))
    return lines
