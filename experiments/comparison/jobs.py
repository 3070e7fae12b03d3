"""The processes that make the runs of a comparison."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Literal

from experiments.comparison.runs import RL_EXPIRE, Run
from rl_expire.runs.run_folder import RunFolderError

State = Literal["waiting", "training", "scoring", "done", "failed"]


class Job:
    """The commands of one run, executed one after the other.

    Args:
        run: the run to make.
        levels: levels to score it at.

    Attributes:
        pending: commands that have not finished yet.
        process: process of the first of them; None if it is not running.
        failed: whether a command failed; those after it are not run.
    """

    def __init__(self, run: Run, levels: Sequence[int]):
        """Note the commands; none is started."""
        self.run = run
        self.pending = run.commands(levels)
        self.process: subprocess.Popen[bytes] | None = None
        self.failed = False

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to run."""
        return self.failed or not self.pending

    @property
    def state(self) -> State:
        """What the job is doing."""
        if self.failed:
            return "failed"
        if not self.pending:
            return "done"
        if self.process is None:
            return "waiting"
        return "scoring" if self.pending[0][len(RL_EXPIRE)] == "levels" else "training"

    def start(self) -> None:
        """Start the first pending command."""
        folder = self.run.folder
        if not folder.checkpoints.exist and not folder.results.exists():
            try:
                folder.discard_unstarted()
            except RunFolderError as error:
                self.run.log.write_text(f"{error}\n")
                self.failed = True
                return
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        group = os.environ.get("WANDB_RUN_GROUP") or self.run.out.resolve().name
        settings = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "WANDB_RUN_GROUP": group}
        with self.run.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.pending[0],
                stdout=log,
                stderr=log,
                env=os.environ | settings,
                # Otherwise Ctrl-C would reach the run twice, from the terminal and from
                # `interrupt`, and the second would end it without saving.
                start_new_session=True,
            )

    def poll(self) -> None:
        """Note whether the running command has finished."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return
        # Training that somebody else stopped exits with code 0, but leaves no results.
        self.failed = code != 0 or not self.run.folder.results.exists()
        self.pending = self.pending[1:]
        self.process = None


def advance(jobs: Sequence[Job], limit: int) -> None:
    """Collect the commands that have finished, and start others while fewer than `limit` run."""
    for job in jobs:
        if job.process is not None:
            job.poll()
    free = limit - sum(job.process is not None for job in jobs)
    # Finish a run, with its scoring, before starting the next, so that results come in early.
    waiting = [job for job in jobs if job.process is None and not job.is_over]
    for job in sorted(waiting, key=lambda job: len(job.pending))[: max(0, free)]:
        job.start()


def interrupt(jobs: Sequence[Job]) -> None:
    """Ask all running jobs to save and exit, and wait until they have."""
    running = [job.process for job in jobs if job.process is not None]
    for process in running:
        process.send_signal(signal.SIGINT)
    for process in running:
        process.wait()
