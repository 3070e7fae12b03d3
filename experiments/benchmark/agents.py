"""Trained agents side by side: what acting and learning cost with the memory each has come to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from agents import AGENT_CONFIGS
from experiments.benchmark.train import time_updates
from experiments.command_line.errors import at_least
from experiments.open_run import load_run
from experiments.scoring.whole_task import EVAL_SEED, at_hardest
from experiments.tasks import task_of
from experiments.training.build import make_trainer
from experiments.training.device import use_threads
from experiments.training.resume import options_of_run
from rl_expire.learning.rollout import collect
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.provenance import hardware
from rl_expire.runs.run_folder import RunFolder
from rl_expire.scoring.evaluation import Score, evaluate
from rl_expire.vector.make import make_envs

CPU = torch.device("cpu")
NEVER = 10**15
"""Steps that no phase of training reaches here."""
WARM_UP = 400
"""Steps before timing begins, so that memories are as full as they get."""
STANDSTILL = 1e-12
"""A learning rate at which all is computed and nothing moves: the agents stay what they are."""


@dataclass
class Measured:
    """What was measured of one run.

    Attributes:
        acting: greedy episodes at the hardest level, once a repeat.
        learning: PPO updates, in environment steps a second.
        forgetting: updates of the forgetting phase; none without lifetimes to learn.
    """

    acting: list[Score] = field(default_factory=list)
    learning: list[float] = field(default_factory=list)
    forgetting: list[float] = field(default_factory=list)


def bench_agents(
    runs: tuple[Path, ...],
    num_envs: int = 64,
    updates: int = 12,
    repeats: int = 3,
    threads: int = 1,
) -> None:
    """Time trained agents in one process, in turn: greedy acting, and training updates.

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
    measured = {run: Measured() for run in runs}
    learners = {run: trainer_of(run, "learn") for run in measured}
    forgetters = {run: trainer_of(run, "forget") for run in measured if learners[run].spans}
    for _ in range(repeats):
        for run, found in measured.items():
            found.acting.append(act(run, num_envs))
            found.learning.append(time_updates(learners[run], updates).steps_per_second)
            if run in forgetters:
                speed = time_updates(forgetters[run], updates).steps_per_second
                found.forgetting.append(speed)
    print_measured(measured, num_envs)


def act(run: Path, num_envs: int) -> Score:
    """Let the agent of `run` play `num_envs` episodes of the hardest level at once."""
    _, config, agent = load_run(run, CPU)
    env = config["env"]
    envs = make_envs(env["id"], num_envs, at_hardest(env["options"], env["level"]))
    return evaluate(agent, envs, num_envs, seed=EVAL_SEED, greedy=True, device=CPU)


def trainer_of(run: Path, phase: Literal["learn", "forget"]) -> Trainer[Any]:
    """Return a trainer of the run's options, at its full task, with its learned weights.

    It stays in its phase, at its level and at its weights, however long it is timed, and the
    memories that the agent comes to hold are there from the beginning.
    """
    _, config = RunFolder.open(run)
    options = options_of_run(task_of(config["env"]["id"]), run)
    options = replace(
        options,
        train=replace(options.train, total_steps=NEVER),
        ppo=replace(options.ppo, learning_rate=STANDSTILL),
        forgetting=replace(
            options.forgetting, method="after-learning", steps=NEVER, learning_rate=STANDSTILL
        ),
    )
    torch.manual_seed(options.seed)
    trainer = make_trainer(options, CPU)
    _, _, agent = load_run(run, CPU)
    trainer.agent.load_state_dict(agent.state_dict())
    curriculum = trainer.schedule.curriculum
    curriculum.go_to(len(curriculum.levels) - 1)
    trainer.set_level()
    # While learning, the schedule would move on to settling; after the end it leaves all as it is.
    trainer.schedule.phase = "forget" if phase == "forget" else "end"
    for _ in range(max(WARM_UP, 2 * curriculum.level) // trainer.rollout_length + 1):
        collect(trainer.actor, trainer.rollout_length)
        trainer.actor.memory = trainer.agent.refresh(trainer.actor.memory)
    return trainer


def print_measured(measured: dict[Path, Measured], num_envs: int) -> None:
    """Print a row a run, then which run each row is."""
    table = Table(title="Trained agents at the hardest level; medians")
    table.add_column("agent")
    for title in ("acting", "PPO", "forgetting", "kept", "bytes", "success"):
        unit = "\nsteps/s" if title in ("acting", "PPO", "forgetting") else ""
        table.add_column(title + unit, justify="right", no_wrap=True)
    for run, found in measured.items():
        score = found.acting[0]
        seconds = np.median([s.seconds_per_step for s in found.acting])
        table.add_row(
            label(run),
            f"{num_envs / seconds:,.0f}",
            f"{np.median(found.learning):,.0f}",
            f"{np.median(found.forgetting):,.0f}" if found.forgetting else "-",
            ", ".join(f"{n:.1f}" for n in score.kept_at_end_per_layer) or "-",
            f"{score.bytes_held:,.0f}",
            f"{score.success:.3f}",
        )
    console = Console()
    console.print(table)
    console.print("kept: memories at the decision, per layer. bytes: one environment's memory.")
    for run in measured:
        console.print(f"{label(run)}: {run}", soft_wrap=True, highlight=False)
    console.print(hardware(), soft_wrap=True, highlight=False)


def label(run: Path) -> str:
    """Return agent, size and seed of a run, as compare.py has them."""
    _, config = RunFolder.open(run)
    name = config["agent"]["name"]
    option = AGENT_CONFIGS[name].size_option
    size = f":{config['agent']['options'][option]}" if option else ""
    return f"{name}{size}, seed {config['seed']}"
