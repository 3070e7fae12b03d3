"""Run a command: bad input ends in one line and exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.command_line.errors import refuse
from experiments.command_line.parse import Command


def run(command: Command, words: list[str], prog: str) -> None:
    """Parse `words` and run the command.

    Args:
        command: what to run.
        words: of the command line, without the program's name.
        prog: the program's name, for its help and for the commands that it suggests.
    """
    try:
        command(words, prog)()
    except ValueError as error:
        refuse(error)


def script(command: Command) -> None:
    """Run the command of a script of this folder with the words that it was started with."""
    run(command, sys.argv[1:], f"python experiments/{Path(sys.argv[0]).name}")
