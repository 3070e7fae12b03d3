"""What every command line here has in common: bad input ends in one clear line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

BAD_INPUT = 2
"""Exit code of bad input, the same that unknown options have."""


def run(main: Callable[..., Any], args: list[str] | None = None) -> None:
    """Run `main` with the options of the command line; exit with code 2 on bad input.

    Args:
        main: the command; its parameters are the options, its docstring their help. It raises
            `ValueError` (or `RunFolderError`, which is one) where the input is bad, with a message
            that names the option and the remedy.
        args: the command line's words; those the program was started with if None.
    """
    try:
        tyro.cli(main, args=args)
    except ValueError as error:
        message = " ".join(str(error).split())
        print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)
