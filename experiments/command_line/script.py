"""Run a command: bad input ends in one line and exit code 2, a closed pipe quietly."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from experiments.command_line.errors import refuse
from experiments.command_line.parse import Command


def run(command: Command, words: list[str], prog: str) -> None:
    """Parse `words` and run the command.

    Where another program reads the output and stops, such as `| head`, the command ends quietly.

    Args:
        command: what to run.
        words: of the command line, without the program's name.
        prog: the program's name, for its help and for the commands that it suggests.
    """
    try:
        try:
            command(words, prog)()
        except ValueError as error:
            refuse(error)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def script(command: Command) -> None:
    """Run the command of a script of this folder with the words that it was started with."""
    run(command, sys.argv[1:], f"python experiments/{Path(sys.argv[0]).name}")
