"""End-to-end training speed, and who spends the time: environments, acting, learning."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import torch
from cli import at_least
from corridor import Corridor
from experiment import make_trainer
from rich.console import Console
from rich.table import Table
from runs import use_threads

from rl_expire.run_folder import hardware


def bench_train(
    lengths: tuple[int, ...] = (8, 50, 200), updates: int = 20, threads: int = 0
) -> None:
    """Time updates of an untrained agent on the Corridor with the default options.

    An untrained agent wanders, so its episodes run to their limits and fill its memory: training
    is slowest then.

    Args:
        lengths: Longest corridors to time, one row each.
        updates: Updates timed a row; a quarter as many go before, untimed.
        threads: CPU threads; 0: as many as there are cores.
    """
    use_threads(threads)
    at_least(1, updates=updates)
    table = Table(title="Training speed: learning the task, no curriculum")
    for title in ("longest corridor", "steps/s", "env", "act", "learn", "rest", "memory slots"):
        table.add_column(title, justify="right")
    for length in lengths:
        table.add_row(str(length), *time_updates(length, updates))
    console = Console()
    console.print(table)
    console.print(hardware())


def time_updates(length: int, updates: int) -> list[str]:
    """Return steps/s, the shares of env, act, learn and the rest, and the slots of a row."""
    options = Corridor()
    options = replace(
        options,
        env=replace(options.env, max_length=length),
        curriculum=replace(options.curriculum, start=length),
    )
    torch.manual_seed(options.seed)
    trainer = make_trainer(options, torch.device("cpu"))
    for _ in range(max(1, updates // 4)):
        trainer.update()
    before = trainer.steps
    trainer.actor.seconds = {"env": 0.0, "act": 0.0}
    trainer.learn_seconds = 0.0
    began = perf_counter()
    for _ in range(updates):
        trainer.update()
    seconds = perf_counter() - began
    parts = [*trainer.actor.seconds.values(), trainer.learn_seconds]
    shares = [f"{100 * part / seconds:.0f} %" for part in [*parts, seconds - sum(parts)]]
    slots = trainer.actor.memory.layers[0].slots
    return [f"{(trainer.steps - before) / seconds:,.0f}", *shares, str(slots)]
