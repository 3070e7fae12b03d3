"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: Path, suffix: str) -> Iterator[Path]:
    """Give a temporary file beside `path`, and move it there if all went well.

    Raises:
        ValueError: it cannot be written; nothing is left behind.
    """
    temporary = None
    try:
        temporary = _beside(path, suffix)
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Refuse a place where no file can be written, before any work is put into one.

    Raises:
        ValueError: `path` cannot be written.
    """
    try:
        _beside(path, path.suffix).unlink()
    except OSError as error:
        raise _refusal(path, error) from error


def check_folder(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder in which files called `names` cannot be written; nothing is made.

    Raises:
        ValueError: `folder` cannot be made, or one of the files cannot be written.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        _beside(nearest / "file", "").unlink()
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be written ({error.strerror}): give another folder"
        ) from error
    if nearest == folder:
        for name in names:
            check_place(folder / name)


def _beside(path: Path, suffix: str) -> Path:
    """Make a temporary file in the folder of `path`."""
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    handle, name = tempfile.mkstemp(suffix=suffix, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    return Path(name)


def _refusal(path: Path, error: OSError) -> ValueError:
    reason = error.strerror or " ".join(str(error).split())
    return ValueError(f"{path} cannot be written ({reason}): give another file")
