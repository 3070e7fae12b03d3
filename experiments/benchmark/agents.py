"""Time trained agents side by side: acting and learning, with the memories that each holds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from agents import AGENT_CONFIGS
from experiments.benchmark.train import time_updates
from experiments.command_line.errors import at_least
from experiments.open_run import load_run
from experiments.scoring.measures import text_of
from experiments.scoring.whole_task import EVAL_SEED, at_hardest
from experiments.tasks import task_of
from experiments.training.build import make_trainer
from experiments.training.device import use_threads
from experiments.training.resume import options_of_run
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.provenance import hardware
from rl_expire.runs.run_folder import RunFolder
from rl_expire.scoring.evaluation import Score, evaluate
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import make_envs

CPU = torch.device("cpu")
ENDLESS = 10**15
"""A number of steps that is never reached, so that training stays in its phase."""
WARM_UP_STEPS = 400
"""Minimum number of steps before timing starts, so that memories have filled up."""
FROZEN_RATE = 1e-12
"""A learning rate at which updates cost the same but learn nothing."""


@dataclass
class Timings:
    """Repeated measurements of one run.

    Attributes:
        acting: evaluations at the hardest level.
        learning: environment steps per second of PPO updates.
        forgetting: environment steps per second of forgetting updates; empty for an agent without
            learned lifetimes.
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
    trust: tuple[str, ...] = (),
) -> None:
    """Time greedy acting and training updates of trained agents, in turn in one process.

    Args:
        runs: Run folders of the agents, one row each.
        num_envs: Environments stepped together when acting, each for one episode.
        updates: Updates in each measurement.
        repeats: Number of measurements, taken in turn; the median is printed.
        threads: CPU threads; 0: one per core.
        trust: Modules that the environments of RUNS may import, besides those of rl_expire,
            Gymnasium and MiniGrid.
    """
    use_threads(threads)
    at_least(1, num_envs=num_envs, updates=updates, repeats=repeats)
    if not runs:
        raise ValueError("--runs is empty: give one or more run folders")
    timings = {run: Timings() for run in runs}
    learners = {run: frozen_trainer(run, trust, forgetting=False) for run in timings}
    forgetters = {
        run: frozen_trainer(run, trust, forgetting=True)
        for run in timings
        if learners[run].agent.span_parameters()
    }
    for _ in range(repeats):
        for run, timing in timings.items():
            timing.acting.append(act(run, num_envs, trust))
            timing.learning.append(time_updates(learners[run], updates).steps_per_second)
            if run in forgetters:
                speed = time_updates(forgetters[run], updates).steps_per_second
                timing.forgetting.append(speed)
    print_timings(timings, num_envs)


def act(run: Path, num_envs: int, trust: Collection[str]) -> Score:
    """Evaluate the agent of a run at its hardest level, one episode in each environment."""
    _, config, agent = load_run(run, CPU, trust)
    env = config["env"]
    options = at_hardest(env["options"], env["level"])
    with closing_envs(make_envs(env["id"], num_envs, options)) as envs:
        return evaluate(agent, envs, num_envs, seed=EVAL_SEED, greedy=True, device=CPU)


def frozen_trainer(run: Path, trust: Collection[str] = (), *, forgetting: bool) -> Trainer[Any]:
    """Return a trainer for timing: at the full task, with the weights and memories of a run.

    However many updates are made, it stays in its phase and at its level, and learns nothing.

    Args:
        run: run folder.
        trust: modules that its environment may come from (see `check_trusted`).
        forgetting: whether its updates also learn the lifetimes.
    """
    _, config, agent = load_run(run, CPU, trust)
    options = options_of_run(task_of(config["env"]["id"]), run, trust)
    options = replace(
        options,
        train=replace(options.train, total_steps=ENDLESS),
        ppo=replace(options.ppo, learning_rate=FROZEN_RATE),
        forgetting=replace(options.forgetting, learning_rate=FROZEN_RATE),
    )
    torch.manual_seed(options.seed)
    trainer = make_trainer(options, CPU)
    trainer.agent.load_state_dict(agent.state_dict())
    curriculum = trainer.schedule.curriculum
    curriculum.go_to(len(curriculum.levels) - 1)
    trainer.set_level()
    # In phase "learn" the schedule would move on to settling; from "end" it never moves on.
    trainer.schedule.phase = "end"
    trainer.schedule.forgetting = forgetting
    for _ in range(max(WARM_UP_STEPS, 2 * curriculum.level) // trainer.rollout_length + 1):
        trainer.actor.collect(trainer.rollout_length)
        trainer.actor.refresh()
    return trainer


def print_timings(timings: dict[Path, Timings], num_envs: int) -> None:
    """Print a row per run, then the run folder of each row."""
    table = Table(title="Trained agents at the hardest level; medians")
    table.add_column("agent")
    for title in ("acting", "PPO", "forgetting", "kept", "bytes", "success"):
        unit = "\nsteps/s" if title in ("acting", "PPO", "forgetting") else ""
        table.add_column(title + unit, justify="right", no_wrap=True)
    for run, timing in timings.items():
        score = timing.acting[0]
        seconds = np.median([s.seconds_per_step for s in timing.acting])
        table.add_row(
            label(run),
            f"{num_envs / seconds:,.0f}",
            f"{np.median(timing.learning):,.0f}",
            f"{np.median(timing.forgetting):,.0f}" if timing.forgetting else "-",
            text_of(score.kept_at_end_per_layer, 1),
            f"{score.bytes_held:,.0f}",
            f"{score.success:.3f}",
        )
    console = Console()
    console.print(table)
    console.print("kept: memories at the decision, per layer. bytes: memory of one environment.")
    for run in timings:
        console.print(f"{label(run)}: {run}", soft_wrap=True, highlight=False)
    console.print(hardware(), soft_wrap=True, highlight=False)


def label(run: Path) -> str:
    """Return the agent, its size and the seed of a run."""
    _, config = RunFolder.open(run)
    name = config["agent"]["name"]
    option = AGENT_CONFIGS[name].size_option
    size = f":{config['agent']['options'][option]}" if option else ""
    return f"{name}{size}, seed {config['seed']}"
