"""Time a trained agent acting in episodes of several levels of difficulty."""

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
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import EnvConfig, make_envs


def bench_act(
    run: Path,
    lengths: tuple[int, ...] = (200, 2000),
    num_envs: int = 64,
    repeats: int = 3,
    threads: int = 1,
    trust: tuple[str, ...] = (),
) -> None:
    """Time a trained agent acting in episodes of several levels of difficulty.

    Args:
        run: Run folder of the agent.
        lengths: Levels, such as lengths of the corridor, one row each.
        num_envs: Environments stepped together, each for one episode per row.
        repeats: Number of measurements of each row, taken in turn; the median is printed.
        threads: CPU threads; 0: one per core.
        trust: Modules that the environment of RUN may import, besides those of rl_expire, Gymnasium
            and MiniGrid.
    """
    use_threads(threads)
    at_least(1, num_envs=num_envs, repeats=repeats)
    device = torch.device("cpu")
    folder, config, agent = load_run(run, device, trust)
    env = config["env"]
    if not env.get("level"):
        raise ValueError(f"{folder.config} does not name an option that sets difficulty")
    scores: dict[int, list[Score]] = {length: [] for length in lengths}
    for seed in range(repeats):
        for length in scores:
            options = at_level(env["options"], env["level"], length)
            with closing_envs(
                make_envs(env["id"], num_envs, options, EnvConfig.from_json(env))
            ) as envs:
                score = evaluate(agent, envs, num_envs, seed=seed, greedy=True, device=device)
            scores[length].append(score)
    print_scores(scores, num_envs)


def print_scores(scores: dict[int, list[Score]], num_envs: int) -> None:
    """Print a row per level, from repeated evaluations in `num_envs` environments."""
    table = Table(title=f"Acting, {num_envs} environments at once")
    for title in ("length", "µs/step", "memories kept", "bytes held", "success"):
        table.add_column(title, justify="right")
    for length, repeats in scores.items():
        seconds = np.median([score.seconds_per_step for score in repeats]) / num_envs
        kept = np.mean([score.kept_per_layer for score in repeats], axis=0)
        table.add_row(
            str(length),
            f"{seconds * 1e6:.1f}",
            ", ".join(f"{layer:.1f}" for layer in kept) or "-",
            f"{np.mean([score.bytes_held for score in repeats]):,.0f}",
            f"{np.mean([score.success for score in repeats]):.3f}",
        )
    console = Console()
    console.print(table)
    console.print(hardware())
