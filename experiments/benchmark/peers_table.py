"""Print what was measured of peers: speeds, and how long they take to solve the task."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.benchmark.peer import EPISODES, Peer, PeerTask, Recipe, Slice
from experiments.benchmark.solving import SOLVED_AT, Attempt
from rl_expire.runs.progress import clock
from rl_expire.runs.provenance import commit, hardware

PACKAGES = ("torch", "numpy", "gymnasium", "stable-baselines3", "sb3-contrib")


def print_speeds(
    console: Console,
    task: PeerTask,
    recipes: Mapping[str, Recipe],
    slices: Mapping[str, Sequence[Slice]],
) -> None:
    """Print a row per peer, then what was measured with.

    Args:
        console: where to print.
        task: what the peers trained on.
        recipes: of each peer, by name.
        slices: of each peer, one or more.
    """
    medians = {name: float(np.median([s.speed for s in parts])) for name, parts in slices.items()}
    baselines = [name for name in medians if name.partition(":")[0] == "sb3"]
    table = Table(title=f"Training, {task.num_envs} corridors of up to {task.length}, in turns")
    table.add_column("peer", no_wrap=True)
    for title in ("rollout", "passes", "mini-\nbatches", "steps/s\nmedian", "lowest to\nhighest"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in baselines:
        table.add_column(f"times\n{name}", justify="right", no_wrap=True)
    for name, parts in slices.items():
        recipe, speeds = recipes[name], [part.speed for part in parts]
        table.add_row(
            name,
            str(recipe.rollout),
            f"{np.mean([part.passes for part in parts]):.1f} of {recipe.passes}",
            str(recipe.minibatches),
            f"{medians[name]:,.0f}",
            f"{min(speeds):,.0f} to {max(speeds):,.0f}",
            *(f"{medians[name] / medians[baseline]:.2f}" for baseline in baselines),
        )
    console.print(table)
    print_lines(
        console,
        "rollout: steps of each corridor per update. passes: those made over each, of those "
        "allowed; agents of this project end them where the policy has changed enough, and make "
        "fewer where a rollout holds hardly a choice.",
        "All on the full task, from new weights: episodes run to their step limits, and memories "
        "are still full.",
        *(["sb3: RecurrentPPO; sb3:N makes N passes, all else alike."] if baselines else []),
        provenance(),
    )


def print_attempts(
    console: Console,
    task: PeerTask,
    minutes: float,
    peers: Mapping[str, Peer],
    attempts: Mapping[str, Attempt],
) -> None:
    """Print a row per peer with the time that it took to solve the task.

    Args:
        console: where to print.
        task: what the peers trained on.
        minutes: how long each was allowed to train.
        peers: the peers, by name.
        attempts: what each reached.
    """
    table = Table(title=f"Time to solve corridors of {task.length}, at most {minutes:g} min each")
    table.add_column("peer", no_wrap=True)
    for title in ("curriculum", "solved after", "steps", f"success\nat {task.length}"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, attempt in attempts.items():
        table.add_row(
            name,
            "yes" if peers[name].curriculum else "no",
            clock(attempt.seconds) if attempt.solved else "not solved",
            f"{attempt.steps:,}",
            f"{attempt.success:.3f}",
        )
    console.print(table)
    without = [name for name, peer in peers.items() if not peer.curriculum]
    print_lines(
        console,
        f"Solved: success {SOLVED_AT} or more in {EPISODES} greedy episodes of the greatest "
        "length; time is that of training alone.",
        *([f"{', '.join(without)}: full task only, without a curriculum."] if without else []),
        "One seed: a lead, not a result.",
    )


def print_lines(console: Console, *lines: str) -> None:
    """Print lines as they are, however narrow the terminal is."""
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def provenance() -> str:
    """Return one line with hardware, commit and the versions of the packages that are there."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    made_by = f", commit {commit()}" if commit() else ""
    return f"{hardware()}{made_by}; Python {platform.python_version()}, {', '.join(versions)}"
