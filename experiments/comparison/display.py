"""Show how the runs of a comparison are getting on."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table

from experiments.comparison.jobs import Job
from experiments.comparison.metrics import last_metrics
from rl_expire.runs.live_display import LiveDisplay
from rl_expire.runs.progress import clock, percent

PLAIN_EVERY = 30.0
"""Seconds between lines where the output is not a terminal."""


class Display(LiveDisplay):
    """A live table with a row per run; plain lines where the output is not a terminal.

    A context manager, which keeps the table in place until it exits.

    Args:
        jobs: one per run.
    """

    def __init__(self, jobs: Sequence[Job]):
        """Create a display of `jobs`; `with` shows it."""
        super().__init__(refresh_per_second=2)
        self.jobs = jobs
        self._started = time.monotonic()
        self._printed = -PLAIN_EVERY

    def update(self) -> None:
        """Show the present state of all jobs."""
        seconds = time.monotonic() - self._started
        over = sum(job.is_over for job in self.jobs)
        title = f"{over} of {len(self.jobs)} runs done, {clock(seconds)}"
        if self.console.is_terminal:
            self._live.update(self._table(title))
        elif seconds - self._printed > PLAIN_EVERY:
            self._printed = seconds
            running = [job for job in self.jobs if job.process is not None]
            parts = [f"{job.run.name}: {' '.join(filter(None, status(job)))}" for job in running]
            self.console.print(f"{title}; {'; '.join(parts)}", soft_wrap=True, highlight=False)

    def _table(self, title: str) -> Table:
        """Return the table of all jobs."""
        table = Table(title=title)
        for name in ("run", "state", "steps", "level", "success"):
            table.add_column(name)
        for job in self.jobs:
            table.add_row(job.run.name, *status(job))
        return table


def status(job: Job) -> tuple[str, str, str, str]:
    """Return the state, steps, level and success of a job; empty where unknown."""
    metrics = last_metrics(job.run.folder.metrics)
    if not metrics:
        return job.state, "", "", ""
    success = "" if metrics["success"] is None else percent(metrics["success"])
    return job.state, f"{metrics['steps']:,}", str(metrics["level"]), success
