"""What every script here has in common with `rl-expire`, and which extras it needs."""

from __future__ import annotations

import importlib.util

from rl_expire.command_line import BAD_INPUT, at_least, refuse, run

__all__ = ["BAD_INPUT", "at_least", "installed", "refuse", "run"]


def installed(*packages: str) -> None:
    """Refuse to go on without `packages`, those of the extra `compare`."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"{package} is not installed: pip install -e '.[compare]'")
