"""Score a trained agent level by level, at levels beyond its training too.

python experiments/levels.py runs/corridor-seed1 --levels 200 1000 10000
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from experiments.command_line.errors import at_least
from experiments.command_line.parse import call_of
from experiments.command_line.script import script
from experiments.open_run import load_run, own_place
from experiments.scoring.measures import overall, text_of
from experiments.scoring.results_table import warn_of_cut
from experiments.scoring.whole_task import EVAL_SEED, at_level, expected_return
from experiments.tasks import task_of
from experiments.training.device import use_threads
from rl_expire.runs.json_file import write_json
from rl_expire.runs.provenance import commit, hardware
from rl_expire.scoring.evaluation import Score, evaluate
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import make_envs


def levels(
    run: Annotated[Path, tyro.conf.Positional],
    levels: tuple[int, ...] = (),
    episodes: int = 64,
    threads: int = 1,
    trust: tuple[str, ...] = (),
) -> None:
    """Score a trained agent at each level: success, memory and time.

    The numbers are written to RUN/levels.json, or to NAME-levels.json in the current folder for an
    exported policy.

    Args:
        run: Run folder of the agent, or a folder that `rl-expire export` wrote.
        levels: Levels of difficulty, such as lengths of the corridor; by default the task's own.
        episodes: Greedy episodes at each level, all played at once.
        threads: CPU threads; 0: one per core.
        trust: Modules that the environment of RUN may import, besides those of rl_expire, Gymnasium
            and MiniGrid.
    """
    at_least(1, episodes=episodes)
    use_threads(threads)
    device = torch.device("cpu")
    folder, config, agent = load_run(run, device, trust)
    env = config["env"]
    if not env.get("level"):
        raise ValueError(f"{folder.config} does not name an option that sets difficulty")
    levels = levels or task_of(env["id"]).scored_at
    rows = []
    for level in levels:
        task = at_level(env["options"], env["level"], level)
        with closing_envs(make_envs(env["id"], episodes, task)) as envs:
            score = evaluate(agent, envs, episodes, seed=EVAL_SEED, greedy=True, device=device)
            warn_of_cut(score)
            share = score.return_mean / expected_return(envs)
        rows.append({"level": level, "share": share} | summary(score, episodes))
        print(f"{env['level'][0]} {level}: success {score.success:.3f}", flush=True)
    about = {"commit": commit(), "hardware": hardware()}
    path = own_place(folder, folder.levels)
    write_json(path, {"episodes": episodes, "levels": rows, **about})
    print_levels(env["level"][0], rows)
    print(f"{path}: the same numbers")


def summary(score: Score, rows: int) -> dict[str, Any]:
    """Return the numbers to keep of a score of `rows` environments side by side."""
    return {
        "success": score.success,
        "return_mean": score.return_mean,
        "kept_per_layer": score.kept_per_layer,
        "kept_at_decision_per_layer": score.kept_at_end_per_layer,
        "recall": overall(score.recall),
        "precision": overall(score.precision),
        "bytes_held": score.bytes_held,
        "acting_steps_per_second": rows / score.seconds_per_step,
    }


def print_levels(name: str, rows: list[dict[str, Any]]) -> None:
    """Print one line per level."""
    table = Table(title="Level by level, greedy")
    for title in (name, "success", "held at the decision", "bytes held", "acting steps/s"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            f"{row['level']:,}",
            f"{row['success']:.3f}",
            text_of(row["kept_at_decision_per_layer"], 1),
            f"{row['bytes_held']:,.0f}",
            f"{row['acting_steps_per_second']:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    script(call_of(levels))
