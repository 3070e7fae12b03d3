"""A table over several tasks: how well each kind of agent does on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.comparison.record import Record
from experiments.comparison.table import markdown_table, with_interval
from experiments.reproduction.columns import ORIGIN, origin
from experiments.reproduction.result import Result, Row
from experiments.reproduction.tables import NOT_MEASURED, Read, records_of
from rl_expire.scoring.statistics import iqm_over_tasks


@dataclass(frozen=True)
class Summary:
    """A table of the scores over several tasks, by the conventions of rliable.

    An agent has a row of numbers once it has been measured on all tasks.

    Attributes:
        name: its name in marks.
        results: the tasks.
        rows: the kinds of agents, of any memory size.
    """

    name: str
    results: tuple[Result, ...]
    rows: tuple[Row, ...]

    def markdown(self, read: Read) -> str:
        """Return the whole table."""
        rows = [[row.label, *self._cells(row, read)] for row in self.rows]
        titles = [
            "agent",
            "IQM of the score",
            "at the hardest level",
            "runs of each task",
            ORIGIN.title,
        ]
        return "\n".join(markdown_table(titles, rows))

    def _cells(self, row: Row, read: Read) -> list[str]:
        """Return the cells of a row."""
        tasks = [runs_of_kind(result, row.agent, read(result)) for result in self.results]
        if not all(tasks):
            missing = [r.name for r, runs in zip(self.results, tasks, strict=True) if not runs]
            return [f"{NOT_MEASURED}: {', '.join(missing)}", *[""] * 3]
        scores = [over_tasks(tasks, suffix) for suffix in ("", "_at_hardest")]
        return [*scores, ", ".join(str(len(runs)) for runs in tasks), origin(*tasks)]


def runs_of_kind(result: Result, agent: str, records: Sequence[Record]) -> list[Record]:
    """Return the records of an agent of any memory size."""
    rows = [row for row in result.rows if row.agent.partition(":")[0] == agent]
    return [record for row in rows for record in records_of(result, row, records)]


def over_tasks(tasks: Sequence[Sequence[Record]], suffix: str) -> str:
    """Format the interquartile mean over tasks of the score that each task is judged by."""
    scores = [[r["results"][f"eval.{r['measure']}{suffix}"] for r in runs] for runs in tasks]
    found = iqm_over_tasks(scores)
    return with_interval({"mean": found.value, "low": found.low, "high": found.high})
