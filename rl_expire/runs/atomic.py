"""Write files and folders atomically: they appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part-"
"""Part of the name of every temporary file and folder."""


class UnwritableError(ValueError):
    """A file or folder that cannot be written; the message says why and what to do.

    Args:
        path: what was to be written.
        error: why it cannot be.
        remedy: what to do about it, unless the disk is full.

    Attributes:
        error: as above.
        reason: the error in a few words, such as `No space left on device`.
    """

    def __init__(self, path: Path, error: OSError, remedy: str = "choose another path"):
        """Compose the message."""
        self.error = error
        self.reason = error.strerror or " ".join(str(error).split())
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free some disk space"
        super().__init__(f"{path} cannot be written ({self.reason}): {remedy}")


@contextmanager
def atomic_write(
    path: Path,
    suffix: str = "",
    *,
    flush: bool = False,
    verify: Callable[[Path], object] | None = None,
) -> Iterator[Path]:
    """Yield a temporary file to write, and rename it to `path` if all goes well.

    Until then a file already at `path` stays as it is. The temporary file is in the same folder,
    and is deleted if anything is raised.

    Args:
        path: the file to write or replace.
        suffix: ending of the temporary file's name, for writers that choose their format by it.
        flush: wait until both the file's content and its name are on the disk.
        verify: called with the finished temporary file; whatever it raises keeps the old file.

    Raises:
        UnwritableError: the file cannot be written.
    """
    temporary = None
    try:
        temporary = _temporary_file(path, suffix)
        yield temporary
        if flush:
            _flush(temporary)
        if verify is not None:
            verify(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        if flush:
            _flush_names(path.parent)
    except OSError as error:
        raise UnwritableError(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill, and rename it to `path` if all goes well.

    Args:
        path: the folder to make. Its parents are made as needed.

    Raises:
        UnwritableError: the folder exists already, or cannot be written.
    """
    temporary = None
    try:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it exists already")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}{PART}", dir=path.parent))
        yield temporary
        os.chmod(temporary, 0o755)
        os.rename(temporary, path)
        _flush_names(path.parent)
    except (OSError, UnwritableError) as error:
        cause = error.error if isinstance(error, UnwritableError) else error
        raise UnwritableError(path, cause, "choose another folder") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left in `folder`.

    Raises:
        OSError: one of them cannot be deleted.
    """
    for path in folder.glob(".*.part*"):  # earlier versions had no random part after it
        path.unlink()


def check_writable(path: Path) -> None:
    """Check that a file can be written at `path`; leave an existing one as it is.

    Raises:
        UnwritableError: it cannot.
    """
    try:
        _temporary_file(path, path.suffix).unlink()
    except OSError as error:
        raise UnwritableError(path, error) from error


def check_folder_writable(folder: Path, names: Iterable[str]) -> None:
    """Check that files called `names` can be written in `folder`, without making it.

    Raises:
        UnwritableError: the folder cannot be made, or one of the files cannot be written.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        _temporary_file(nearest / "file", "").unlink()
    except OSError as error:
        raise UnwritableError(folder, error, "choose another folder") from error
    if nearest == folder:
        for name in names:
            check_writable(folder / name)


def _temporary_file(path: Path, suffix: str) -> Path:
    """Make an empty file in the folder of `path`, and return its path."""
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    handle, name = tempfile.mkstemp(suffix=suffix, prefix=f".{path.name}{PART}", dir=path.parent)
    os.close(handle)
    return Path(name)


def _flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, on systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
