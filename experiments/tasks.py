"""The tasks of this project, by name."""

from __future__ import annotations

from experiments.collision import Collision
from experiments.corridor import Corridor
from experiments.instruction import Instruction
from experiments.portal import Portal
from experiments.tmaze import TMaze
from experiments.train import Train
from experiments.training.experiment import Experiment

TASKS: dict[str, type[Experiment]] = {
    "corridor": Corridor,
    "portal": Portal,
    "instruction": Instruction,
    "collision": Collision,
    "tmaze": TMaze,
}
"""Every task, by the name of its script and of TASK on command lines."""


def experiment_of(name: str) -> tuple[type[Experiment], list[str]]:
    """Return the experiment behind `rl-expire train NAME`, and the words that complete it.

    Args:
        name: name of a task, or id of any other environment.
    """
    return (TASKS[name], []) if name in TASKS else (Train, ["--env-id", name])


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
