"""One run of a comparison: its folder, and the commands that make it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import AGENT_CONFIGS
from experiments.tasks import TASKS
from rl_expire.runs.json_file import read_json
from rl_expire.runs.run_folder import RunFolder

RL_EXPIRE = (sys.executable, "-P", "-m", "experiments")
"""Command that starts `rl-expire`; -P keeps modules of the working directory from shadowing it."""


@dataclass(frozen=True)
class Run:
    """An agent of some memory size, trained on a task with one seed.

    Attributes:
        task: name of the task, or id of any other environment.
        agent: name of the agent.
        size: its memory size; None for the default, or for an agent without a size.
        seed: seed of the run.
        out: folder of the comparison.
        total_steps: environment steps from which on no further update begins; None for the task's
            default.
        extra: further words of the command line, common to all runs.
        track: log to wandb.
    """

    task: str
    agent: str
    size: int | None
    seed: int
    out: Path
    total_steps: int | None
    extra: tuple[str, ...] = ()
    track: bool = False

    @property
    def variant(self) -> str:
        """Agent and size as NAME or NAME:SIZE."""
        return self.agent if self.size is None else f"{self.agent}:{self.size}"

    @property
    def name(self) -> str:
        """Variant and seed, of another environment than a task's its id as well."""
        of_task = "" if self.task in TASKS else f"{self.task}, "
        return f"{of_task}{self.variant}, seed {self.seed}"

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.out / self.variant.replace(":", "-") / f"seed-{self.seed}")

    @property
    def log(self) -> Path:
        """File that the output of the run's processes goes to."""
        path = self.folder.path
        return path.with_name(path.name + ".log")

    @property
    def options(self) -> list[str]:
        """Options of the training command that decide the result."""
        words = ["--agent", self.agent]
        if self.size is not None:
            words += [f"--agent.{AGENT_CONFIGS[self.agent].size_option}", str(self.size)]
        words += ["--seed", str(self.seed)]
        if self.total_steps is not None:
            words += ["--train.total-steps", str(self.total_steps)]
        return [*words, *self.extra]

    @property
    def reproduce(self) -> str:
        """Command that makes this run alone; more threads would round sums differently."""
        task = [f"experiments/{self.task}.py"]
        script = task if self.task in TASKS else ["experiments/train.py", "--env-id", self.task]
        return shlex.join(["python", *script, *self.options, "--threads", "1"])

    def is_finished(self, levels: Iterable[int]) -> bool:
        """Return whether the run is trained and scored at all of `levels`."""
        return self.folder.results.exists() and is_scored(self.folder, levels)

    def commands(self, levels: Sequence[int]) -> list[list[str]]:
        """Return the commands still to run, in order: training, then scoring at `levels`."""
        folder, commands = self.folder, []
        if not folder.results.exists():
            where = "--resume" if folder.checkpoints.exist else "--out"
            words = ["--threads", "1", "--no-video", *(["--track"] if self.track else [])]
            words += [where, str(folder.path), *self.options]
            commands.append([*RL_EXPIRE, "train", self.task, *words])
        stale = bool(commands) and bool(levels)  # training makes earlier scores out of date
        if stale or not is_scored(folder, levels):
            words = [str(folder.path), "--threads", "1", "--levels", *map(str, levels)]
            commands.append([*RL_EXPIRE, "levels", *words])
        return commands


def is_scored(folder: RunFolder, levels: Iterable[int]) -> bool:
    """Return whether `levels.json` of a run has scores for all of `levels`, if there are any."""
    levels = set(levels)
    if not levels:
        return True
    try:
        rows = read_json(folder.levels)["levels"]
    except (ValueError, KeyError):
        return False
    return covers(rows, levels)


def covers(rows: Sequence[dict[str, Any]], levels: Iterable[int]) -> bool:
    """Return whether `rows`, one a level, include all of `levels`."""
    return set(levels) <= {row["level"] for row in rows}
