"""The runs of a comparison: each a process of its own, as many at a time as there are cores."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from agents import AGENT_CONFIGS
from rl_expire.runs.progress import clock, percent
from rl_expire.runs.run_folder import RunFolder

RL_EXPIRE = (sys.executable, "-P", "-m", "experiments")
"""Starts `rl-expire`, whatever is in the working directory."""
POLL = 0.5
PLAIN_EVERY = 30.0
"""Seconds between lines where output is not a terminal."""


@dataclass(frozen=True)
class Run:
    """One cell of the comparison: an agent, its memory size, a seed.

    Attributes:
        task: the experiment's name.
        agent: the agent's name.
        size: its memory size; None for the agent's default, or where it has none.
        seed: of the run.
        out: the comparison's folder.
        total_steps: the most environment steps.
        extra: further words of the command line, after `--`.
        ours: words that follow from the comparison's own options, such as `--track`.
    """

    task: str
    agent: str
    size: int | None
    seed: int
    out: Path
    total_steps: int
    extra: tuple[str, ...]
    ours: tuple[str, ...] = ()

    @property
    def variant(self) -> str:
        """Agent and size, as in the table and on the command line."""
        return self.agent if self.size is None else f"{self.agent}:{self.size}"

    @property
    def name(self) -> str:
        """Variant and seed."""
        return f"{self.variant}, seed {self.seed}"

    @property
    def folder(self) -> RunFolder:
        """Where the run is."""
        return RunFolder(self.out / self.variant.replace(":", "-") / f"seed-{self.seed}")

    @property
    def log(self) -> Path:
        """What the run printed."""
        path = self.folder.path
        return path.with_name(path.name + ".log")

    @property
    def options(self) -> list[str]:
        """The options that make the run what it is."""
        words = ["--agent", self.agent]
        if self.size is not None:
            words += [f"--agent.{AGENT_CONFIGS[self.agent].size_option}", str(self.size)]
        words += ["--seed", str(self.seed), "--train.total-steps", str(self.total_steps)]
        return [*words, *self.extra]

    @property
    def reproduce(self) -> str:
        """The command that makes this run alone; on more threads, sums would round otherwise."""
        return shlex.join(
            ["python", f"experiments/{self.task}.py", *self.options, "--threads", "1"]
        )

    def finished(self, levels: Sequence[int]) -> bool:
        """Whether it has been trained, and scored at all of `levels`."""
        return self.folder.results.exists() and scored(self.folder, levels)

    def commands(self, levels: Sequence[int]) -> list[list[str]]:
        """Return what is still to be run, in order: training, then scoring level by level."""
        script = [*RL_EXPIRE, "train", self.task]
        where, folder = ["--threads", "1", "--no-video", *self.ours], self.folder
        left = []
        if not folder.results.exists():
            if folder.checkpoints.exist:
                left.append([*script, *where, "--resume", str(folder.path), *self.options])
            else:
                left.append([*script, *where, "--out", str(folder.path), *self.options])
        if left or not scored(folder, levels):  # scores of other weights do not count
            words = [str(folder.path), "--threads", "1", "--levels", *map(str, levels)]
            left.append([*RL_EXPIRE, "levels", *words])
        return left


def scored(folder: RunFolder, levels: Sequence[int]) -> bool:
    """Whether the run has been scored at all of `levels`."""
    try:
        rows = json.loads(folder.levels.read_text())["levels"]
    except (OSError, ValueError, KeyError):
        return False
    return has_all(levels, rows)


def has_all(levels: Sequence[int], rows: Sequence[dict[str, Any]]) -> bool:
    """Whether there is a score in `rows` for each of `levels`."""
    return set(levels) <= {row["level"] for row in rows}


class Job:
    """A run in progress."""

    def __init__(self, run: Run, levels: Sequence[int]):
        self.run, self.levels = run, levels
        self.left = run.commands(levels)
        self.process: subprocess.Popen[bytes] | None = None
        self.failed = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.failed or not self.left

    def start(self) -> None:
        """Begin the next command."""
        folder = self.run.folder
        if not folder.checkpoints.exist and not folder.results.exists():
            shutil.rmtree(folder.path, ignore_errors=True)  # interrupted before its first one
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        group = os.environ.get("WANDB_RUN_GROUP") or self.run.out.resolve().name
        ours = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "WANDB_RUN_GROUP": group}
        with self.run.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.left[0],
                stdout=log,
                stderr=log,
                env=os.environ | ours,
                # Ctrl-C in the terminal is for us alone: twice, it would cut saving short.
                start_new_session=True,
            )

    def poll(self) -> bool:
        """Return whether the command that was running has come to its end."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return False
        # Told to terminate by somebody else, training ends well, but is not over.
        trained = self.run.folder.results.exists()
        self.failed = code != 0 or not trained
        self.left = [] if self.failed else self.left[1:]
        self.process = None
        return True

    def describe(self) -> tuple[str, ...]:
        """Return state, steps, level and success for the display."""
        last = last_metrics(self.run.folder.metrics)
        steps, level, success = "", "", ""
        if last:
            steps, level = f"{last['steps']:,}", str(last["level"])
            success = "" if last["success"] is None else percent(last["success"])
        if self.failed:
            state = "failed"
        elif self.done:
            state = "done"
        elif self.process is None:
            state = "waiting"
        else:
            state = "scoring" if "levels" in self.left[0][: len(RL_EXPIRE) + 1] else "training"
        return state, steps, level, success


def last_metrics(path: Path) -> dict[str, Any]:
    """Return the last whole line of `metrics.jsonl`, empty before there is one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().split(b"\n")
        return json.loads(lines[-2]) if len(lines) > 1 else {}
    except (OSError, ValueError):
        return {}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of `metrics.jsonl`, in the order of steps.

    A run that was killed goes on from its checkpoint; what it had done beyond that is done again,
    and only the later lines count.
    """
    text = path.read_text() if path.exists() else ""
    lines: list[dict[str, Any]] = []
    for line in map(json.loads, text.splitlines()):
        while lines and lines[-1]["steps"] >= line["steps"]:
            lines.pop()
        lines.append(line)
    return lines


def run_all(runs: Sequence[Run], levels: Sequence[int], at_a_time: int) -> tuple[list[Run], bool]:
    """Do whatever is left of `runs`, `at_a_time` of them together.

    Ctrl-C, or being told to terminate, lets every run save what it has learned.

    Returns:
        The runs that failed, and whether all was seen through.
    """
    jobs = [Job(run, levels) for run in runs]
    display = Display(jobs)
    with interruptible():
        try:
            with display:
                while not all(job.done for job in jobs):
                    step(jobs, at_a_time)
                    display.show()
                    time.sleep(POLL)
        except KeyboardInterrupt:
            stop([job.process for job in jobs if job.process is not None])
            return [], False
    return [job.run for job in jobs if job.failed], True


def step(jobs: Sequence[Job], at_a_time: int) -> None:
    """See which processes have ended, and begin as many as there is room for."""
    for job in jobs:
        if job.process is not None:
            job.poll()
    free = at_a_time - sum(job.process is not None for job in jobs)
    # A run is seen through before the next begins, so that results come in early.
    idle = [j for j in jobs if j.process is None and not j.done]
    for job in sorted(idle, key=lambda j: len(j.left))[: max(0, free)]:
        job.start()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt when told to terminate, as on Ctrl-C.

    In the background of a script Ctrl-C is ignored. It stays so here, by a handler that does
    nothing: unlike the ignoring itself, the runs do not inherit that, and can be asked to save.
    """
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if before[signal.SIGINT] is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to save and end, and wait until they have."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait()


class Display:
    """One table for all runs, or lines where there is no terminal. Use it as a context manager."""

    def __init__(self, jobs: list[Job]):
        self.jobs, self.console = jobs, Console()
        self.live = Live(console=self.console, refresh_per_second=2)
        self.began, self.printed = time.monotonic(), -PLAIN_EVERY

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def show(self) -> None:
        """Bring the display up to date."""
        seconds = time.monotonic() - self.began
        done = sum(job.done for job in self.jobs)
        title = f"{done} of {len(self.jobs)} runs done, {clock(seconds)}"
        if self.console.is_terminal:
            table = Table(title=title)
            for name in ("run", "state", "steps", "level", "success"):
                table.add_column(name)
            for job in self.jobs:
                table.add_row(job.run.name, *job.describe())
            self.live.update(table)
        elif seconds - self.printed > PLAIN_EVERY:
            self.printed = seconds
            busy = [j for j in self.jobs if j.process is not None]
            parts = [f"{j.run.name}: {' '.join(x for x in j.describe() if x)}" for j in busy]
            self.console.print(f"{title}; {'; '.join(parts)}", soft_wrap=True, highlight=False)
