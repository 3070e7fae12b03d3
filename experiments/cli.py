"""`rl-expire`: every command by its name."""

from __future__ import annotations

import sys
from difflib import get_close_matches

from experiments.benchmark.command import bench_command
from experiments.command_line.parse import Call, Command, call_of, one_of
from experiments.command_line.script import run
from experiments.comparison.command import compare_command
from experiments.comparison.suite import suite_command
from experiments.export import check, export
from experiments.levels import levels
from experiments.reproduction.command import reproduce
from experiments.tasks import TASKS
from experiments.train import Train
from experiments.training.command_line import training_command
from experiments.watch import watch

TRAIN_USAGE = f"""rl-expire train TASK|ENV_ID [OPTIONS]

TASK is one of {", ".join(TASKS)}, each with options of its own: see
rl-expire train TASK --help. ENV_ID is the id of any other environment, to which the options below
belong."""


def train_command(words: list[str], prog: str) -> Call:
    """Parse `TASK ...` or `ENV_ID ...`; without either, `--env-id` names the environment."""
    if words and words[0] in TASKS:
        task, *rest = words
        return training_command(TASKS[task])(rest, f"{prog} {task}")
    if words and not words[0].startswith("-"):
        near = get_close_matches(words[0], TASKS, n=1, cutoff=0.75)
        if near:
            raise ValueError(f"{words[0]} is no task: did you mean {near[0]}?")
        words = ["--env-id", *words]
    return training_command(Train, TRAIN_USAGE)(words, prog)


COMMANDS: dict[str, tuple[Command, str]] = {
    "train": (train_command, f"train an agent: {', '.join(TASKS)}, or any environment's id"),
    "watch": (call_of(watch), "film what a trained agent remembers"),
    "levels": (call_of(levels), "score a trained agent level by level, beyond its training too"),
    "compare": (compare_command, "train several agents on one task and report them side by side"),
    "suite": (suite_command, "train several agents on every task of a suite, in one table"),
    "reproduce": (call_of(reproduce), "make the documentation's results, and write its numbers"),
    "bench": (bench_command, "time environments, training or acting"),
    "export": (call_of(export), "write a trained policy into a folder, to be shared"),
    "check": (call_of(check), "check that the checkpoints of a run are whole"),
}
RL_EXPIRE = one_of(COMMANDS, "Train agents that learn what to forget, and see what they remember.")


def parses(words: list[str]) -> None:
    """Check that `rl-expire WORDS` is a command, without running it.

    Raises:
        ValueError: it is not.
        SystemExit: with code 0, for `--help`.
    """
    RL_EXPIRE(words, "rl-expire")


def main(words: list[str] | None = None) -> None:
    """Run `rl-expire` with `words`, those of the command line if None."""
    run(RL_EXPIRE, sys.argv[1:] if words is None else words, "rl-expire")
