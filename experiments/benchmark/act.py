"""What acting costs a trained agent in episodes of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from experiments.command_line.errors import at_least
from experiments.open_run import load_run
from experiments.scoring.whole_task import at_level
from experiments.training.device import use_threads
from rl_expire.runs.provenance import hardware
from rl_expire.scoring.evaluation import Score, evaluate
from rl_expire.vector.make import EnvConfig, make_envs


def bench_act(
    run: Path,
    lengths: tuple[int, ...] = (200, 2000),
    num_envs: int = 64,
    repeats: int = 3,
    threads: int = 1,
) -> None:
    """Let a trained Corridor agent act in corridors of several lengths.

    Args:
        run: Run folder of the agent.
        lengths: Lengths of the corridors, one row each.
        num_envs: Environments, and episodes, of each row.
        repeats: Times each row is measured, in turn; the median counts.
        threads: CPU threads; 0: as many as there are cores.
    """
    use_threads(threads)
    at_least(1, num_envs=num_envs, repeats=repeats)
    device = torch.device("cpu")
    _, config, agent = load_run(run, device)
    env_id, options, level = (config["env"][name] for name in ("id", "options", "level"))
    scores: dict[int, list[Score]] = {length: [] for length in lengths}
    for seed in range(repeats):
        for length in lengths:
            task = at_level(options, level, length)
            envs = make_envs(env_id, num_envs, task, EnvConfig.from_json(config["env"]))
            score = evaluate(agent, envs, num_envs, seed=seed, greedy=True, device=device)
            scores[length].append(score)
    table = Table(title=f"Acting, {num_envs} environments at once")
    for title in ("length", "µs/step", "memories kept", "bytes held", "success"):
        table.add_column(title, justify="right")
    for length, measured in scores.items():
        micros = np.median([s.seconds_per_step for s in measured]) / num_envs * 1e6
        table.add_row(
            str(length),
            f"{micros:.1f}",
            ", ".join(f"{n:.1f}" for n in np.mean([s.kept_per_layer for s in measured], axis=0)),
            f"{np.mean([s.bytes_held for s in measured]):,.0f}",
            f"{np.mean([s.success for s in measured]):.3f}",
        )
    console = Console()
    console.print(table)
    console.print(hardware())
