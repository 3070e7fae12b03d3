"""Parse words with tyro: the options of a command are the parameters of a function or class."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import tyro

from experiments.command_line.errors import BAD_INPUT, with_flag
from rl_expire.validate import OptionError

Call = Callable[[], None]
"""A command with its options filled in, not yet run."""
Command = Callable[[list[str], str], Call]
"""Parse the words of a command; the second argument is the program's name for its help."""


def parse(target: Any, words: list[str], prog: str, **options: Any) -> Any:
    """Return what tyro makes of `words`.

    Args:
        target: a class or function, as `tyro.cli` takes it.
        words: the command line's words.
        prog: name of the program, for its help.
        options: further arguments of `tyro.cli`.

    Raises:
        ValueError: the words do not parse, in one line; an error that a class raised about its own
            fields is passed on as it is.
        SystemExit: with code 0, after `--help` has been printed.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            words = gathered(words, target, **options)
            return tyro.cli(target, args=words, prog=prog, **options)
    except SystemExit as error:
        if error.code != BAD_INPUT:
            sys.stderr.write(printed.getvalue())
            raise
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        if isinstance(cause, OptionError) or re.match(r"\w+=", str(cause)):
            raise cause from None
        raise ValueError(_one_line(printed.getvalue())) from None


def gathered(words: list[str], target: Any, **options: Any) -> list[str]:
    """Return `words` with the values of a repeated option behind one another.

    `--wrappers A --wrappers B` means `--wrappers A B`: the parser alone would take the last one.
    Of an option with one value the last one counts, as usual.
    """
    groups: list[list[str]] = [[]]
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            groups[-1].append(word)
        else:
            groups.append([name.replace("_", "-"), *([value] if equals else [])])
    names = [group[0] for group in groups[1:]]
    if len(set(names)) == len(names):
        return words
    actions = tyro.extras.get_parser(target, **options)._actions
    many = {name for a in actions if a.nargs in ("*", "+") for name in a.option_strings}
    first: dict[str, list[str]] = {}
    for group in groups[1:]:
        if group[0] in many:
            first.setdefault(group[0], group[:1]).extend(group[1:])
    kept = [g for g in groups[1:] if g[0] not in many]
    return [word for group in [groups[0], *kept, *first.values()] for word in group]


def _one_line(box: str) -> str:
    """Return the sentences that tyro prints in a box, without the box."""
    lines = [line.strip("│╭╮╰╯|+ ") for line in box.splitlines()]
    return "".join(";" if set(line) <= set("─-") else f" {line}" for line in lines[1:-1])


def call_of(function: Callable[..., None]) -> Command:
    """Return the command whose options are the parameters of `function`."""

    def command(words: list[str], prog: str) -> Call:
        call = parse(_deferred(function), words, prog)
        parameters = inspect.signature(function).parameters

        def run() -> None:
            try:
                call()
            except ValueError as error:
                raise with_flag(error, parameters) from error

        return run

    return command


def _deferred(function: Callable[..., None]) -> Callable[..., Call]:
    """Return a function of the same signature that returns the call instead of making it."""

    @functools.wraps(function)
    def deferred(*values: Any, **options: Any) -> Call:
        return functools.partial(function, *values, **options)

    return deferred


def one_of(commands: Mapping[str, tuple[Command, str]], about: str) -> Command:
    """Return the command whose first word chooses among `commands`, each with a line of help."""

    def command(words: list[str], prog: str) -> Call:
        if not words or words[0] in ("-h", "--help"):
            width = max(map(len, commands)) + 2
            print(f"usage: {prog} COMMAND ...\n\n{about}\n")
            print("\n".join(f"  {name:{width}}{text}" for name, (_, text) in commands.items()))
            print(f"\n{prog} COMMAND --help lists the options of a command.")
            raise SystemExit(0)
        name, *rest = words
        if name not in commands:
            raise ValueError(f"{name!r} is unknown: choose one of {', '.join(commands)}")
        return commands[name][0](rest, f"{prog} {name}")

    return command
