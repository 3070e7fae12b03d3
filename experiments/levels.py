"""Score a trained agent at levels of its task one by one, those it never trained on included.

python experiments/levels.py runs/corridor-seed1 --levels 200 1000 10000
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from experiments import cli
from experiments.open_run import load_run, use_threads
from experiments.score import EVAL_SEED, at_level, expected_return, together
from experiments.tasks import experiment_of
from rl_expire.runs.run_folder import write_json
from rl_expire.scoring.evaluation import Score, evaluate
from rl_expire.vector.make import make_envs


def levels(
    run: Annotated[Path, tyro.conf.Positional],
    levels: tuple[int, ...] = (),
    episodes: int = 64,
    threads: int = 1,
) -> None:
    """Write levels.json into the run folder: success, memory and time at each level.

    Args:
        run: Run folder of the agent.
        levels: Levels of difficulty, such as lengths of the corridor; by default the task's own.
        episodes: Greedy episodes at each, all played at once.
        threads: CPU threads; 0: as many as there are cores.
    """
    cli.at_least(1, episodes=episodes)
    use_threads(threads)
    device = torch.device("cpu")
    folder, config, agent = load_run(run, device)
    env = config["env"]
    if not env.get("level"):
        raise ValueError(f"{folder.config} does not say what makes its episodes hard")
    levels = levels or experiment_of(env["id"]).scored_at
    rows = []
    for level in levels:
        envs = make_envs(env["id"], episodes, at_level(env["options"], env["level"], level))
        score = evaluate(agent, envs, episodes, seed=EVAL_SEED, greedy=True, device=device)
        share = score.return_mean / expected_return(envs)
        rows.append({"level": level, "share": share} | summary(score, episodes))
        print(f"{env['level'][0]} {level}: success {score.success:.3f}", flush=True)
    write_json(folder.levels, {"episodes": episodes, "levels": rows})
    print_levels(env["level"][0], rows)


def summary(score: Score, rows: int) -> dict[str, Any]:
    """Return what is kept of a score of `rows` environments side by side."""
    return {
        "success": score.success,
        "return_mean": score.return_mean,
        "kept_per_layer": score.kept_per_layer,
        "kept_at_decision_per_layer": score.kept_at_end_per_layer,
        "recall": together(score.recall),
        "precision": together(score.precision),
        "bytes_held": score.bytes_held,
        "acting_steps_per_second": rows / score.seconds_per_step,
    }


def print_levels(name: str, rows: list[dict[str, Any]]) -> None:
    """Print a line a level."""
    table = Table(title="Level by level, greedy")
    for title in (name, "success", "kept at the decision", "bytes held", "acting steps/s"):
        table.add_column(title, justify="right")
    for row in rows:
        kept = ", ".join(f"{n:.1f}" for n in row["kept_at_decision_per_layer"])
        table.add_row(
            f"{row['level']:,}",
            f"{row['success']:.3f}",
            kept or "-",
            f"{row['bytes_held']:,.0f}",
            f"{row['acting_steps_per_second']:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    cli.run(levels)
