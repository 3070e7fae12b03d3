"""Nested observations as flat ones: the only place that knows of `Dict` in `Dict` and of `Tuple`.

A flat `Dict` stays as it is, and so does a space that is neither. Of any other nest the leaves are
named by their paths, such as `camera/0/left`. As in JSON pointers (RFC 6901), `~` and `/` within a
key become `~0` and `~1`, so that no two leaves have the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any

import gymnasium as gym
from gymnasium import spaces

Path = tuple[str | int, ...]
"""Keys and indices that lead to a leaf; empty if it is all there is."""


class ObservationSpaceError(ValueError):
    """An observation space that agents cannot read; the message is one line."""


def flat_space(space: gym.Space) -> gym.Space:
    """Return the flat `Dict` of the leaves of `space`, or `space` itself if it has no parts.

    Raises:
        ObservationSpaceError: a `Dict` or `Tuple` is empty, or a key is not a string.
    """
    _check_nest(space, space)
    return space_of(leaves(space))


def space_of(parts: Mapping[Any, gym.Space]) -> gym.Space:
    """Return the flat space with these leaves, by the names that `leaves` gives."""
    return parts[None] if None in parts else spaces.Dict(dict(parts))


def flat_obs(obs: Any) -> Any:
    """Return a nest of dicts and tuples, such as a batch of observations, as a flat dict."""
    parts = leaves(obs)
    return parts.get(None, parts)


def leaves(nest: Any) -> dict[str | None, Any]:
    """Return the leaves of a space, or of an observation of arrays, by name.

    The name is None where there is nothing but a leaf.
    """
    return _named(dict(_walk(nest)))


def leaves_of(space: gym.Space, obs: Any) -> dict[str | None, Any]:
    """Return the leaves of an observation of `space` by name, in whatever types it came.

    Unlike in `leaves`, a tuple or list may be what the environment gives for a `Box`.

    Raises:
        LookupError, TypeError: `obs` does not have the structure of `space`.
    """
    return _named({path: reduce(getitem, path, obs) for path, _ in _walk(space)})


def _walk(nest: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves of a nest of spaces or of observations with their paths, in order."""
    inner = nest.spaces if isinstance(nest, spaces.Dict | spaces.Tuple) else nest
    if isinstance(inner, Mapping):
        parts: Any = inner.items()
    elif isinstance(inner, tuple):
        parts = enumerate(inner)
    else:
        yield path, nest
        return
    for key, part in parts:
        yield from _walk(part, (*path, key))


def _named(parts: dict[Path, Any]) -> dict[str | None, Any]:
    """Return leaves by name instead of by path."""
    if list(parts) == [()]:
        return {None: parts[()]}
    if all(len(path) == 1 and isinstance(path[0], str) for path in parts):
        return {str(path[0]): part for path, part in parts.items()}
    return {"/".join(map(_escaped, path)): part for path, part in parts.items()}


def _escaped(key: str | int) -> str:
    """Return a key without slashes."""
    return str(key).replace("~", "~0").replace("/", "~1")


def plain_name(key: str) -> str:
    """Return a key without quotation marks, backslashes and what cannot be printed.

    These, and the percent sign, are written as `%` and their number, so that different keys have
    different names. PyTorch writes names into source code, and these would break it.
    """
    return "".join(f"%{ord(c):02X}" if c in "%\"'\\" or not c.isprintable() else c for c in key)


def _check_nest(space: gym.Space, whole: gym.Space, at: str = "") -> None:
    """Check the keys and the number of parts of every `Dict` and `Tuple`."""
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return
    parts: Any = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
    if not len(space.spaces):
        raise unsupported(whole, at, "it has no entries: remove it, or give it one")
    for key, part in parts:
        if isinstance(space, spaces.Dict) and not isinstance(key, str):
            raise unsupported(whole, at, f"the key {key!r} is not a string: use a string")
        _check_nest(part, whole, f"{at}[{key!r}]")


def unsupported(space: gym.Space, at: str, reason: str) -> ObservationSpaceError:
    """Return an error that says why agents cannot read `space`.

    Args:
        space: an observation space.
        at: which part of it is meant, such as `['image']`; empty: all of it.
        reason: why, and what to do.
    """
    name = " ".join(str(space).split())
    name = name if len(name) <= 200 else name[:197] + "..."
    where = f" at {at}" if at else ""
    return ObservationSpaceError(f"observation space {name}{where} is not supported: {reason}")
