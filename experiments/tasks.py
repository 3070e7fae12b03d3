"""The tasks of this project, by name."""

from __future__ import annotations

from experiments.corridor import Corridor
from experiments.instruction import Instruction
from experiments.portal import Portal
from experiments.tmaze import TMaze
from experiments.training.experiment import Experiment

TASKS: dict[str, type[Experiment]] = {
    "corridor": Corridor,
    "portal": Portal,
    "instruction": Instruction,
    "tmaze": TMaze,
}
"""Every task, by the name of its script and of TASK on command lines."""


def task_of(env_id: str) -> type[Experiment]:
    """Return the task of an environment.

    Raises:
        ValueError: there is none.
    """
    for experiment in TASKS.values():
        if experiment.env_id == env_id:
            return experiment
    known = ", ".join(TASKS)
    raise ValueError(f"{env_id} is the environment of no task: choose a run of {known}")
