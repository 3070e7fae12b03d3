"""End-to-end training speed, and who spends the time: environments, acting, learning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from experiments.command_line.errors import at_least
from experiments.corridor import Corridor
from experiments.training.build import make_trainer
from experiments.training.device import use_threads
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.provenance import hardware


def bench_train(
    lengths: tuple[int, ...] = (8, 50, 200), updates: int = 20, threads: int = 1
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
        table.add_row(str(length), *shares(time_updates(make(length), updates)))
    console = Console()
    console.print(table)
    console.print(hardware())


def make(length: int) -> Trainer[Any]:
    """Return a new trainer on corridors of up to `length`, from the start."""
    options = Corridor()
    options = replace(
        options,
        env=replace(options.env, max_length=length),
        curriculum=replace(options.curriculum, start=length),
    )
    torch.manual_seed(options.seed)
    return make_trainer(options, torch.device("cpu"))


@dataclass(frozen=True)
class Timing:
    """Where the seconds of some updates went, and how many memory slots there were at their end."""

    steps_per_second: float
    env: float
    act: float
    learn: float
    total: float
    slots: int


def time_updates(trainer: Trainer[Any], updates: int) -> Timing:
    """Time `updates` updates; a quarter as many go before, untimed."""
    for _ in range(max(1, updates // 4)):
        trainer.update()
    before = trainer.steps
    trainer.actor.seconds = {"env": 0.0, "act": 0.0}
    trainer.learn_seconds = 0.0
    began = perf_counter()
    for _ in range(updates):
        trainer.update()
    total = perf_counter() - began
    layers = getattr(trainer.actor.memory, "layers", [])
    return Timing(
        steps_per_second=(trainer.steps - before) / total,
        env=trainer.actor.seconds["env"],
        act=trainer.actor.seconds["act"],
        learn=trainer.learn_seconds,
        total=total,
        slots=layers[0].num_slots if layers else 0,
    )


def shares(timing: Timing) -> list[str]:
    """Return steps/s, the shares of env, act, learn and the rest, and the slots of a row."""
    parts = [timing.env, timing.act, timing.learn]
    percent = [f"{100 * part / timing.total:.0f} %" for part in [*parts, timing.total - sum(parts)]]
    return [f"{timing.steps_per_second:,.0f}", *percent, str(timing.slots)]
