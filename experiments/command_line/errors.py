"""Report bad input in one line, by the option as the user typed it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn, TypeVar

T = TypeVar("T")

BAD_INPUT = 2
"""Exit code of bad input, the same that unknown options have."""
LONGEST_MESSAGE = 1000
"""Characters of the longest error message that is printed in full."""


def program() -> str:
    """Return the name that this process was started by, to begin messages with."""
    name = Path(sys.argv[0]).name
    return "rl-expire" if name == "__main__.py" else name


def refuse(error: ValueError | str) -> NoReturn:
    """Print one line that says what is wrong with the input, and exit with code 2.

    What comes from a file can neither fill the terminal nor control it.
    """
    message = " ".join(str(error).split())
    message = "".join(c if c.isprintable() else "?" for c in message)
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 3] + "..."
    print(f"{program()}: error: {message}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def flag(name: str) -> str:
    """Return the command-line option of a parameter: `num_envs` becomes `--num-envs`."""
    return "--" + name.replace("_", "-")


def with_flag(error: ValueError, parameters: Collection[str]) -> ValueError:
    """Return `error` with the option in place of the parameter that its message begins with."""
    name, space, problem = str(error).partition(" ")
    return ValueError(f"{flag(name)}{space}{problem}") if name in parameters else error


def at_least(least: int, **options: int) -> None:
    """Check that whole numbers are at least `least`.

    Raises:
        ValueError: one is not; the message names its option.
    """
    for name, value in options.items():
        if value < least:
            raise ValueError(f"{flag(name)} is {value}: choose {least} or more")


def known(name: str, among: Mapping[str, T], what: str) -> T:
    """Return the entry called `name`.

    Args:
        name: as the user typed it.
        among: entries by name.
        what: what they are, for the message.

    Raises:
        ValueError: there is none; the message names the nearest one, or all.
    """
    if name in among:
        return among[name]
    near = get_close_matches(name, among, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"choose from {', '.join(among)}"
    raise ValueError(f"{name!r} is no {what}: {remedy}")


def installed(*packages: str, extra: str = "compare", without: str | None = None) -> None:
    """Check that the packages of an extra are installed.

    Args:
        packages: names to import them by.
        extra: the extra that they belong to.
        without: options that do without them, for the message.

    Raises:
        ValueError: one is not.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            other = f"; without it: {without}" if without else ""
            raise ValueError(
                f"{package} is not installed: pip install 'rl-expire[{extra}]' "
                f"(in a checkout: pip install -e '.[{extra}]'){other}"
            )
