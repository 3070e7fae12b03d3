"""Time one layer of memory, and measure what it takes, by the number of memories that it holds."""

from __future__ import annotations

import math
import multiprocessing
from dataclasses import dataclass
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table

from experiments.command_line.errors import at_least
from experiments.training.device import use_threads
from rl_expire.memory import ExpireSpan, MemoryLayer, MemoryStack, StackMemory
from rl_expire.memory.slot_memory import SlotMemory
from rl_expire.runs.provenance import hardware, peak_bytes

REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """What one layer costs for one sequence.

    Attributes:
        act: milliseconds of a step of acting.
        learn: milliseconds of a segment with gradients.
        held_bytes: size of the memory.
        peak_bytes: memory of the process that learning took at most, beyond what it had before.
    """

    act: float
    learn: float
    held_bytes: int
    peak_bytes: int


def bench_memory(
    memories: tuple[int, ...] = (1024, 4096, 16384, 65536),
    segment: int = 32,
    width: int = 64,
    heads: int = 4,
    threads: int = 1,
) -> None:
    """Time one layer of memory, and measure what it takes, by the number of memories held.

    Args:
        memories: Numbers of memories held, one row each.
        segment: Number of steps that are learned at once.
        width: Width of the states.
        heads: Number of attention heads.
        threads: CPU threads; 0: one per core.
    """
    at_least(1, segment=segment, width=width, heads=heads, memories=min(memories, default=0))
    table = Table(title=f"One layer of width {width}, one sequence")
    for title in ("memories", "acting, ms/step", f"learning, ms/{segment} steps"):
        table.add_column(title, justify="right")
    for title in ("MB held", "MB to learn"):
        table.add_column(title, justify="right")
    context = multiprocessing.get_context("spawn")
    for count in memories:
        with context.Pool(1) as process:  # of its own, so that the peak is that of this row
            cost = process.apply(measure, (count, segment, width, heads, threads))
        table.add_row(
            f"{count:,}",
            f"{cost.act:.2f}",
            f"{cost.learn:.0f}",
            f"{cost.held_bytes / 1e6:,.1f}",
            f"{cost.peak_bytes / 1e6:,.0f}",
        )
    console = Console()
    console.print(table)
    console.print(hardware())


def measure(memories: int, segment: int, width: int, heads: int, threads: int) -> Cost:
    """Return the cost of a layer that holds `memories`."""
    use_threads(threads)
    torch.manual_seed(0)
    lifetime = ExpireSpan(width, max_span=1e7, initial_fraction=0.5, ramp=16.0)
    layer = MemoryLayer(width, heads, lifetime, capacity=memories + segment)
    slots = layer.refreshed(filled(memories, width, heads))
    clock = torch.tensor([memories])
    act = min(_seconds_to_act(layer, slots, clock) for _ in range(REPEATS))
    stack, before = MemoryStack([layer]), StackMemory([slots], clock)
    base = peak_bytes()
    learn = math.inf
    for _ in range(REPEATS):
        start = perf_counter()
        output = stack(torch.randn(1, segment, width), before, early=0.3)
        (output.states.square().mean() + output.span_penalty).backward()
        learn = min(learn, perf_counter() - start)
    return Cost(1e3 * act, 1e3 * learn, slots.nbytes, peak_bytes() - base)


def filled(memories: int, width: int, heads: int) -> SlotMemory:
    """Return a memory of one row that is full of random states, none of which has expired."""
    slots = SlotMemory.empty(1, memories, width, heads, torch.device("cpu"))
    slots.hidden.normal_()
    slots.written_at.copy_(torch.arange(memories))
    slots.span.fill_(1e7)
    return slots


@torch.no_grad()
def _seconds_to_act(layer: MemoryLayer, slots: SlotMemory, clock: torch.Tensor) -> float:
    """Return the time of a step."""
    slots = slots.map(lambda x: x.clone())
    layer.act(torch.randn(1, slots.hidden.shape[-1]), slots, clock)
    start = perf_counter()
    layer.act(torch.randn(1, slots.hidden.shape[-1]), slots, clock + 1)
    return perf_counter() - start
