"""The tasks there are, each with its experiment."""

from __future__ import annotations

from experiments.corridor import Corridor
from experiments.experiment import Experiment
from experiments.instruction import Instruction
from experiments.portal import Portal

EXPERIMENTS: dict[str, type[Experiment]] = {
    "corridor": Corridor,
    "portal": Portal,
    "instruction": Instruction,
}
"""By the name of their script, and of TASK on command lines."""


def experiment_of(env_id: str) -> type[Experiment]:
    """Return the experiment of an environment.

    Raises:
        ValueError: there is none.
    """
    for experiment in EXPERIMENTS.values():
        if experiment.env_id == env_id:
            return experiment
    known = ", ".join(EXPERIMENTS)
    raise ValueError(f"{env_id} is the environment of no experiment: choose a run of {known}")
