"""Train one model of characters, and measure what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from experiments.characters.learner import Learner, score
from experiments.characters.model import Body, Characters, Kind
from experiments.characters.text import read_text, split
from experiments.characters.training import Training
from experiments.training.device import use_threads
from rl_expire.runs.provenance import peak_bytes

TIMED = 0.5
"""Share of the updates, the last ones, whose time and memories count."""


@dataclass(frozen=True)
class Trained:
    """What a model reached.

    Attributes:
        kind: its memory.
        size: its size option.
        parameters: number of weights.
        bits: bits per character of the held-out text.
        held: mean number of memories that a layer holds for a row, on the held-out text.
        memory_bytes: size of the memory of all layers and rows, there.
        peak_bytes: memory of the process that learning took at most, beyond what it had before.
        milliseconds: median time of an update.
        seconds: time of the training.
    """

    kind: str
    size: int
    parameters: int
    bits: float
    held: float
    memory_bytes: int
    peak_bytes: int
    milliseconds: float
    seconds: float


def train(kind: Kind, size: int, body: Body, training: Training) -> Trained:
    """Train a model and score it on the held-out text.

    Raises:
        ValueError: the text cannot be used.
    """
    use_threads(training.threads)
    torch.manual_seed(training.seed)
    learn, test = split(read_text(training.text, training.most), training.rows, training.steps)
    model = Characters(kind, size, body)
    learner = Learner(model, training)
    before, start, times = peak_bytes(), perf_counter(), []
    memory = model.stack.initial_memory(training.rows)
    position = 0
    for update in range(training.updates):
        if position + training.steps + 1 > learn.shape[1]:  # read it once more
            position, memory = 0, model.stack.initial_memory(training.rows)
        began = perf_counter()
        segment = learn[:, position : position + training.steps + 1]
        memory = learner.update(segment, memory, update).memory
        times.append(perf_counter() - began)
        position += training.steps
    seconds, peak = perf_counter() - start, peak_bytes() - before
    bits, held, memory_bytes = score(model, test, training.steps)
    return Trained(
        kind,
        size,
        sum(p.numel() for p in model.parameters()),
        bits,
        held,
        memory_bytes,
        peak,
        1e3 * float(np.median(times[int(TIMED * len(times)) :])),
        seconds,
    )
