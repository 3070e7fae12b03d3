"""Trained agents side by side: what acting and learning cost with the memory each has come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_train import time_updates
from cli import at_least
from corridor import Corridor
from experiment import as_before, make_trainer
from results import EVAL_SEED, at_level
from rich.console import Console
from rich.table import Table
from runs import load_run, make_envs, use_threads

from rl_expire.evaluation import Score, evaluate
from rl_expire.run_folder import RunFolder, hardware
from rl_expire.training import Trainer


def bench_agents(
    runs: tuple[Path, ...],
    num_envs: int = 64,
    updates: int = 12,
    repeats: int = 3,
    threads: int = 1,
) -> None:
    """Time trained Corridor agents in one process, in turn: greedy acting, and PPO updates.

    Args:
        runs: Run folders of the agents, one row each.
        num_envs: Environments, and episodes, of the acting.
        updates: Updates timed each time.
        repeats: Times each is measured, in turn; the median counts.
        threads: CPU threads; 0: as many as there are cores.
    """
    use_threads(threads)
    at_least(1, num_envs=num_envs, updates=updates, repeats=repeats)
    if not runs:
        raise ValueError("--runs is empty: give one or more run folders")
    acting: dict[Path, list[Score]] = {run: [] for run in runs}
    learning: dict[Path, list[float]] = {run: [] for run in runs}
    trainers = {run: trainer_of(run) for run in runs}
    for _ in range(repeats):
        for run, trainer in trainers.items():
            acting[run].append(act(run, num_envs))
            learning[run].append(time_updates(trainer, updates).steps_per_second)
    table = Table(title="Trained agents on the hardest level, acting greedily and learning by PPO")
    titles = (
        "run",
        "acting steps/s",
        "learning steps/s",
        "kept at the decision",
        "bytes",
        "success",
    )
    for title in titles:
        table.add_column(title, justify="left" if title == "run" else "right")
    for run, scores in acting.items():
        seconds = np.median([score.seconds_per_step for score in scores])
        kept = [f"{n:.1f}" for n in scores[0].kept_at_end_per_layer]
        table.add_row(
            str(run),
            f"{num_envs / seconds:,.0f}",
            f"{np.median(learning[run]):,.0f}",
            ", ".join(kept) or "-",
            f"{scores[0].bytes_held:,.0f}",
            f"{scores[0].success:.3f}",
        )
    console = Console()
    console.print(table)
    console.print(hardware())


def act(run: Path, num_envs: int) -> Score:
    """Let the agent of `run` play `num_envs` episodes of the hardest level at once."""
    device = torch.device("cpu")
    _, config, agent = load_run(run, device)
    env = config["env"]
    task = at_level(env["options"], env["level"], env["options"][env["level"]])
    envs = make_envs(env["id"], num_envs, task)
    return evaluate(agent, envs, num_envs, seed=EVAL_SEED, greedy=True, device=device)


def trainer_of(run: Path) -> Trainer[Any]:
    """Return a trainer of the run's options, at its full task, with its learned weights."""
    folder, config = RunFolder.open(run)
    options = as_before(Corridor(resume=run), folder, config)
    goal = options.env_options()[options.level[0]]
    options = replace(options, curriculum=replace(options.curriculum, start=goal))
    torch.manual_seed(options.seed)
    trainer = make_trainer(options, torch.device("cpu"))
    _, _, agent = load_run(run, torch.device("cpu"))
    trainer.module.load_state_dict(agent.state_dict())
    return trainer
