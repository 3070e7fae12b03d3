"""What every command line has in common: bad input ends in one clear line and exit code 2."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import tyro

BAD_INPUT = 2
"""Exit code of bad input, the same that unknown options have."""


Main = Callable[..., Any] | dict[str, Callable[..., Any]]


def run(main: Main, args: list[str] | None = None) -> None:
    """Run `main` with the options of the command line; exit with code 2 on bad input.

    Args:
        main: the command, or several by name; its parameters are the options, its docstring their
            help. It raises `ValueError` (or `RunFolderError`, which is one) where the input is
            bad, with a message that names the option and the remedy; so may the options' own
            classes.
        args: the command line's words; those the program was started with if None.
    """
    try:
        _parse(main, args)()
    except ValueError as error:
        refuse(error)


def _deferred(main: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """Return `main` with the same signature, but to be run by one more call."""

    @functools.wraps(main)
    def deferred(*values: Any, **options: Any) -> Callable[[], Any]:
        return functools.partial(main, *values, **options)

    return deferred


def _parse(main: Main, args: list[str] | None) -> Callable[[], Any]:
    """Return the command with its options filled in, not yet run."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            if isinstance(main, dict):
                commands = {name: _deferred(command) for name, command in main.items()}
                return tyro.extras.subcommand_cli_from_dict(commands, args=args)
            return tyro.cli(_deferred(main), args=args)
    except SystemExit as error:
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        # A message of our own says everything in one line; tyro would put it in a box.
        if isinstance(cause, ValueError) and str(cause).startswith("--"):
            refuse(cause)
        if error.code == BAD_INPUT:
            refuse(ValueError(_unboxed(printed.getvalue())))
        sys.stderr.write(printed.getvalue())
        raise


def _unboxed(text: str) -> str:
    """Return what tyro says in a box, a sentence or two with rules between, on one line."""
    lines = [line.strip("│╭╮╰╯|+ ") for line in text.splitlines()]
    said = [";" if set(line) <= set("─-") else f" {line}" for line in lines[1:-1]]
    return "".join(said)


def at_least(least: int, **options: int) -> None:
    """Refuse values of `options`, named as they are on the command line, below `least`."""
    for name, value in options.items():
        if value < least:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} is {value}: choose {least} or more")


def refuse(error: ValueError | str) -> NoReturn:
    """Say in one line what is wrong with the input, and exit with code 2."""
    message = " ".join(str(error).split())
    print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def installed(*packages: str) -> None:
    """Refuse to go on without `packages`, those of the extra `compare`."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"{package} is not installed: pip install 'rl-expire[compare]'")
