"""Time training, and the shares of environments, acting and learning in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agents import ExpireSpanConfig
from experiments.command_line.errors import at_least
from experiments.corridor import Corridor
from experiments.training.build import make_trainer
from experiments.training.device import device_of, use_threads
from rl_expire.learning.local_actor import LocalActor
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.provenance import hardware


def bench_train(
    lengths: tuple[int, ...] = (200,),
    widths: tuple[int, ...] = (64, 256, 512),
    updates: int = 5,
    device: str = "auto",
    threads: int = 1,
) -> None:
    """Time updates of an untrained agent on the Corridor, with default options.

    This is training at its slowest: episodes of an untrained agent run to their step limits and
    fill its memory. On a GPU each row is followed by that of the CPU.

    Args:
        lengths: Maximum lengths of the corridor.
        widths: Widths D of the agent, a row each for every length.
        updates: Updates to time; a quarter as many are made before, untimed.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one.
        threads: CPU threads; 0: one per core.
    """
    use_threads(threads)
    at_least(1, updates=updates)
    devices = [device_of(device)]
    if devices[0].type != "cpu":
        devices.append(torch.device("cpu"))
    table = Table(title="Training speed: learning the task, no curriculum")
    for title in ("longest corridor", "width", "device", "steps/s", "times the CPU's"):
        table.add_column(title, justify="right")
    for title in ("env", "act", "learn", "rest", "memory slots"):
        table.add_column(title, justify="right")
    for length, width in product(lengths, widths):
        timings = [time_updates(corridor_trainer(length, width, on), updates) for on in devices]
        for on, timing in zip(devices, timings, strict=True):
            table.add_row(str(length), str(width), on.type, *timing.cells(timings[-1]))
    console = Console()
    console.print(table)
    console.print(hardware())


def corridor_trainer(length: int, width: int, device: torch.device) -> Trainer[Any]:
    """Return a new trainer on corridors of at most `length` columns, without a curriculum.

    Args:
        length: maximum length.
        width: D.
        device: of agent and learner.
    """
    options = Corridor()
    assert isinstance(options.agent, ExpireSpanConfig)
    options = replace(
        options,
        env=replace(options.env, max_length=length),
        agent=replace(options.agent, width=width),
        curriculum=replace(options.curriculum, start=length),
    )
    torch.manual_seed(options.seed)
    return make_trainer(options, device)


@dataclass(frozen=True)
class Timing:
    """How long some updates took.

    Attributes:
        steps_per_second: environment steps per second.
        env: seconds spent on stepping environments.
        act: seconds spent on acting.
        learn: seconds spent on learning.
        total: seconds in all.
        slots: memory slots of the first layer after the last update.
    """

    steps_per_second: float
    env: float
    act: float
    learn: float
    total: float
    slots: int

    def shares(self) -> list[float]:
        """Return the shares of env, act, learn and the rest in the total time."""
        parts = [self.env, self.act, self.learn]
        return [part / self.total for part in [*parts, self.total - sum(parts)]]

    def cells(self, base: Timing) -> list[str]:
        """Return speed, how many times the speed of `base` it is, shares and slots, as text."""
        times = self.steps_per_second / base.steps_per_second
        shares = [f"{100 * share:.0f} %" for share in self.shares()]
        return [f"{self.steps_per_second:,.0f}", f"{times:.2f}", *shares, str(self.slots)]


def time_updates(trainer: Trainer[Any], updates: int) -> Timing:
    """Time `updates` updates, after a quarter as many that are not timed."""
    for _ in range(max(1, updates // 4)):
        trainer.update()
    steps, actor = trainer.steps, trainer.actor
    assert isinstance(actor, LocalActor)
    actor.seconds = {"env": 0.0, "act": 0.0}
    trainer.learn_seconds = 0.0
    start = perf_counter()
    for _ in range(updates):
        trainer.update()
    total = perf_counter() - start
    layers = getattr(actor.memory, "layers", [])
    return Timing(
        steps_per_second=(trainer.steps - steps) / total,
        env=actor.seconds["env"],
        act=actor.seconds["act"],
        learn=trainer.learn_seconds,
        total=total,
        slots=layers[0].num_slots if layers else 0,
    )
