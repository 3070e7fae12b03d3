"""Parse words with tyro: the options of a command are the parameters of a function or class."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

import tyro

from experiments.command_line.errors import BAD_INPUT, flag, with_flag
from rl_expire.validate import OptionError

Call = Callable[[], None]
"""A command with its options filled in, not yet run."""
Command = Callable[[list[str], str], Call]
"""Parse the words of a command; the second argument is the program's name for its help."""

REGISTRY = tyro.constructors.ConstructorRegistry()
"""Rules for reading words, besides tyro's own."""


@REGISTRY.primitive_rule
def _whole_number_rule(
    kind: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[int] | None:
    """Let options of type int be written as `1e6` too."""
    if kind.type is not int:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: whole_number(words[0]),
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    )


def whole_number(word: str) -> int:
    """Return the number that a word such as `1000`, `1_000` or `1e3` stands for.

    Raises:
        ValueError: it is not a whole number.
    """
    with contextlib.suppress(ValueError):
        return int(word)
    with contextlib.suppress(ValueError):
        number = float(word)
        if number.is_integer():
            return int(number)
    raise ValueError(f"{word} is not a whole number")


def parse(
    target: Any, words: list[str], prog: str, lists: Collection[str] = (), **options: Any
) -> Any:
    """Return what tyro makes of `words`.

    Args:
        target: a class or function, as `tyro.cli` takes it.
        words: the command line's words.
        prog: name of the program, for its help.
        lists: options that take several values.
        options: further arguments of `tyro.cli`.

    Raises:
        ValueError: the words do not parse, in one line; an error that a class raised about its own
            fields is passed on as it is.
        SystemExit: with code 0, after `--help` has been printed.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            words = gathered(words, lists)
            return tyro.cli(target, args=words, prog=prog, registry=REGISTRY, **options)
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


def gathered(words: list[str], lists: Collection[str]) -> list[str]:
    """Return `words` with the values of a repeated option of `lists` behind one another.

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
    values: dict[str, list[str]] = {}
    for group in groups[1:]:
        if group[0] in lists:
            values.setdefault(group[0], group[:1]).extend(group[1:])
    others = [group for group in groups[1:] if group[0] not in lists]
    return [word for group in [groups[0], *others, *values.values()] for word in group]


def list_options(annotations: Mapping[str, Any]) -> set[str]:
    """Return the options of parameters whose annotations are tuples."""
    return {flag(name) for name, kind in annotations.items() if str(kind).startswith("tuple")}


def _one_line(box: str) -> str:
    """Return the sentences that tyro prints in a box, without the box."""
    lines = [line.strip("│╭╮╰╯|+ ") for line in box.splitlines()]
    return "".join(";" if set(line) <= set("─-") else f" {line}" for line in lines[1:-1])


def call_of(function: Callable[..., None]) -> Command:
    """Return the command whose options are the parameters of `function`."""

    def command(words: list[str], prog: str) -> Call:
        """Parse the words."""
        lists = list_options(function.__annotations__)
        call = parse(_deferred(function), words, prog, lists)
        annotations = function.__annotations__
        parameters = {name for name, kind in annotations.items() if "Positional" not in str(kind)}

        def run() -> None:
            """Call the function, with errors about parameters named as on the command line."""
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
        """Return the call."""
        return functools.partial(function, *values, **options)

    return deferred


def one_of(commands: Mapping[str, tuple[Command, str]], about: str) -> Command:
    """Return the command whose first word chooses among `commands`, each with a line of help."""

    def command(words: list[str], prog: str) -> Call:
        """Parse the words after the first as those of the chosen command."""
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
