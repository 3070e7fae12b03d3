"""Compare agents at several memory sizes, over seeds, on equal terms.

python experiments/compare.py corridor
python experiments/compare.py corridor --agents expire-span lstm --seeds 1 2 -- --env.num-cues 4

Every cell is an ordinary run of that experiment, made by the command that the table prints beside
it. What is finished is skipped and what was interrupted goes on, so the same command can be given
again at any time. Words after `--` are handed to every run.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import cli
import tyro
from compare_report import report
from compare_runs import Run, run_all

from agents import AGENT_CONFIGS
from rl_expire.run_folder import commit, hardware

TASKS = ("corridor",)
DEFAULT_AGENTS = (
    "expire-span",
    "transformer-xl:8",
    "transformer-xl:32",
    "transformer-xl:128",
    "transformer-xl:256",
    "lstm",
    "memoryless",
)


def compare(
    task: Annotated[str, tyro.conf.Positional],
    agents: tuple[str, ...] = DEFAULT_AGENTS,
    seeds: tuple[int, ...] = (1, 2, 3),
    total_steps: int = 4_000_000,
    levels: tuple[int, ...] = (25, 50, 100, 200, 400, 1000, 3000, 10_000),
    jobs: int = 0,
    out: Path | None = None,
    track: bool = False,
) -> None:
    """Train every agent with every seed, then write comparison.json, table.md and the plots.

    Args:
        task: The experiment: corridor.
        agents: NAME or NAME:SIZE, where the size is the window of transformer-xl, the capacity of
            expire-span and adaptive-span, or the width of lstm.
        seeds: Seeds of each.
        total_steps: The most environment steps of a run; one whose task is solved and settled, and
            that has nothing to forget, ends sooner.
        levels: Levels at which the trained agents are scored one by one.
        jobs: Runs at a time, each on one CPU thread; 0: as many as there are cores.
        out: Folder of the comparison; by default runs/compare-TASK.
        track: Log to wandb as well, all runs in one group.
    """
    if task not in TASKS:
        raise ValueError(f"TASK {task!r} is unknown: choose one of {', '.join(TASKS)}")
    cli.at_least(0, jobs=jobs)
    cli.at_least(1, total_steps=total_steps)
    for option, given in (("agents", agents), ("seeds", seeds), ("levels", levels)):
        if not given:
            raise ValueError(f"--{option} is empty: give one or more")
    for package in ("matplotlib", "scipy"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"{package} is not installed: pip install -e '.[compare]'")
    out = out or Path("runs") / f"compare-{task}"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {out} cannot be written ({error.strerror})") from error
    extra = (*OPTIONS, *(("--track",) if track else ()))
    runs = [
        Run(task, *_variant(words), seed, out, total_steps, extra)
        for seed in seeds
        for words in dict.fromkeys(agents)
    ]
    os.environ.setdefault("WANDB_RUN_GROUP", out.name)
    failed = run_all(runs, levels, jobs or os.cpu_count() or 1)
    report(out, [r for r in runs if r not in failed], {"commit": commit(), "hardware": hardware()})
    for run in failed:
        said = run.log.read_text().strip().splitlines()[-1:]
        print(f"failed: {run.name}: {' '.join(said)} (see {run.log})", file=sys.stderr)
    if failed:
        raise SystemExit(1)


def _variant(words: str) -> tuple[str, int | None]:
    """Return the agent and the size that `NAME` or `NAME:SIZE` asks for."""
    name, colon, size = words.partition(":")
    if name not in AGENT_CONFIGS:
        known = ", ".join(AGENT_CONFIGS)
        raise ValueError(f"--agents {words}: no agent {name!r}, choose from {known}")
    if not colon:
        return name, None
    if AGENT_CONFIGS[name].size_option is None:
        raise ValueError(f"--agents {words}: {name} has no memory size, give its name alone")
    if not size.isdigit():
        raise ValueError(f"--agents {words}: {size!r} is no size, give a whole number")
    return name, int(size)


OPTIONS: tuple[str, ...] = ()
"""The words after `--` on the command line, handed to every run."""

if __name__ == "__main__":
    words = sys.argv[1:]
    if "--" in words:
        OPTIONS = tuple(words[words.index("--") + 1 :])
        words = words[: words.index("--")]
    cli.run(compare, words)
