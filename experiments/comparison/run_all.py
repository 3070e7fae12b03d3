"""Make all runs of a comparison, several at a time."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from experiments.comparison.display import Display
from experiments.comparison.jobs import Job, advance, interrupt
from experiments.comparison.runs import Run

POLL_SECONDS = 0.5


def run_all(runs: Sequence[Run], levels: Sequence[int], limit: int) -> tuple[list[Run], bool]:
    """Train and score the runs that are not finished; Ctrl-C or SIGTERM lets each of them save.

    Args:
        runs: runs to make; finished ones are skipped.
        levels: levels to score them at.
        limit: maximum number of processes at a time.

    Returns:
        The runs that failed, and whether all runs were carried out (False after an interrupt).
    """
    jobs = [Job(run, levels) for run in runs]
    with sigterm_as_ctrl_c():
        try:
            with Display(jobs) as display:
                while not all(job.is_over for job in jobs):
                    advance(jobs, limit)
                    display.update()
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            interrupt(jobs)
            return [], False
    return [job.run for job in jobs if job.failed], True


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGTERM, as on Ctrl-C.

    A shell starts background commands with SIGINT ignored, and child processes inherit that: the
    runs could not be asked to save. An empty handler has the same effect here, but is not
    inherited.
    """
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if previous[signal.SIGINT] is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
