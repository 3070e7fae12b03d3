"""Which modules a run folder may make a command import: some folders come from strangers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from gymnasium.envs.registration import EnvSpec

from rl_expire.runs.run_folder import RunFolderError
from rl_expire.vector.make import find_spec

TRUSTED = ("envs", "gymnasium", "minigrid")
"""Packages that environments and wrappers of any folder may come from."""


def check_trusted(
    folder: Path, env_id: str, wrappers: Sequence[str], trust: Collection[str]
) -> None:
    """Check that a folder's environment and wrappers come from trusted modules, importing no other.

    Args:
        folder: the folder, for the message.
        env_id: id of the environment, or `module:ID`.
        wrappers: import paths `module:Class`.
        trust: modules that the user trusts, besides `TRUSTED`. Their submodules are trusted too.

    Raises:
        RunFolderError: a module is not trusted; the message says how to trust it.
    """
    if unknown := untrusted(env_id, wrappers, trust):
        raise RunFolderError(
            f"{folder} needs code that does not belong to rl_expire, and none of it has been run: "
            f"if you trust it, add {trust_option(unknown)}"
        )


def untrusted(env_id: str, wrappers: Sequence[str], trust: Collection[str] = ()) -> list[str]:
    """Return the modules of an environment and its wrappers that are not trusted."""
    trusted = (*TRUSTED, *trust)
    unknown = [module for module in modules_of(env_id, wrappers) if not _among(module, trusted)]
    if unknown or _among(env_id.rpartition(":")[0], trust):
        return unknown
    # Only now may its module be imported. A module that the user trusts may register others'.
    return [module for module in _registered(env_id) if not _among(module, trusted)]


def trusted_by_training(env_id: str, wrappers: Sequence[str]) -> list[str]:
    """Return the modules to trust in order to open a run that the user is training."""
    named = untrusted(env_id, wrappers)
    return [*named, *untrusted(env_id, wrappers, named)]


def trust_option(modules: Sequence[str]) -> str:
    """Return the option that trusts `modules`; an empty string for none."""
    return " ".join(["--trust", *dict.fromkeys(modules)]) if modules else ""


def modules_of(env_id: str, wrappers: Sequence[str]) -> list[str]:
    """Return the modules in the id `module:ID` of an environment and in paths of wrappers."""
    named = [env_id.rpartition(":")[0], *(path.partition(":")[0] for path in wrappers)]
    return [module for module in named if module]


def _registered(env_id: str) -> list[str]:
    """Return the modules that the registered environment consists of; none if it is unknown."""
    try:
        spec = find_spec(env_id)
    except ValueError:  # reported when the environment is made
        return []
    return [_module(entry) for entry in _entry_points(spec)]


def _entry_points(spec: EnvSpec) -> list[object]:
    """Return what makes an environment: the environment's own class or function, and wrappers'."""
    wrappers = [wrapper.entry_point for wrapper in spec.additional_wrappers]
    found = [spec.entry_point, spec.vector_entry_point, *wrappers]
    return [entry for entry in found if entry is not None]


def _module(entry: object) -> str:
    """Return the module of a class or function, or of its import path `module:name`."""
    return entry.partition(":")[0] if isinstance(entry, str) else str(entry.__module__)


def _among(module: str, packages: Collection[str]) -> bool:
    """Return whether `module` is one of `packages` or inside one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
