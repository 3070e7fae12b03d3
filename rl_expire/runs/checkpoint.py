"""Checkpoints: one safetensors file each, tensors as tensors, everything else as JSON inside it.

Opening one runs no code of its author's. The file holds a checksum of its content: one that is
damaged, or was never finished, is told from a good one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

FORMAT = "rl_expire checkpoint 1"
LARGEST_HEADER = 16 * 2**20
"""Bytes of names, shapes and JSON that are read; real ones have a few ten thousand."""

Tree = Any
"""Dicts with string keys, lists, tensors, NumPy arrays, numbers, strings, None; nested."""


class CheckpointError(ValueError):
    """A file that is no checkpoint, or is damaged; the message says why."""


def save_tree(tree: Tree, path: Path) -> None:
    """Write `tree` to `path`, whole or not at all, and on the disk when this returns.

    A file that was there stays until the new one has been read back and found good.

    Raises:
        OSError: it cannot be written.
        CheckpointError: what was read back is not what was written.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_described(tree, "", tensors), allow_nan=False, separators=(",", ":"))
    told = {"format": FORMAT, "state": text, "sha256": _digest(tensors, text)}
    temporary = path.with_name(f".{path.name}.part")
    try:
        write_through(save_tensors(tensors, told), temporary)
        load_tree(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def load_tree(path: Path) -> Tree:
    """Return what `save_tree` wrote to `path`, tensors on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is not a checkpoint, or is damaged.
    """
    tensors, told = read_tensors(path)
    if told.get("format") != FORMAT:
        raise CheckpointError(f"it is not in the format {FORMAT!r}")
    text = str(told.get("state"))
    if _digest(tensors, text) != told.get("sha256"):
        raise CheckpointError("its checksum is wrong: it was damaged, or changed by hand")
    try:
        tree = _rebuilt(json.loads(text), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"its JSON does not describe a state ({_short(error)})") from error
    if tensors:
        raise CheckpointError(f"it holds a tensor {_short(min(tensors))} that it does not mention")
    return tree


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of any safetensors file; names in it are never used as paths.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it cannot be read, or is no safetensors file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except (OSError, MemoryError) as error:
        raise CheckpointError(f"it cannot be read ({_short(error)})") from error
    length = int.from_bytes(data[:8], "little")
    if length > min(LARGEST_HEADER, len(data) - 8):
        raise CheckpointError(
            f"its header would have {length:,} bytes: it is cut off, or not a safetensors file"
        )
    try:
        # Copies: the library's own lie wherever the header's length puts them in memory, and sums
        # over unaligned numbers may round otherwise.
        tensors = {name: value.clone() for name, value in load_tensors(data).items()}
        told = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise CheckpointError(f"it is not a good safetensors file ({_short(error)})") from error
    except MemoryError as error:
        raise CheckpointError("it is larger than memory") from error
    return tensors, told


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors alone, as any library for safetensors reads them; whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_through(save_tensors({k: _own(v) for k, v in weights.items()}, {"format": "pt"}), path)


def write_through(data: bytes, path: Path) -> None:
    """Write `data` to `path` and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`; not every system can, which is no harm."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _own(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()


def _described(value: Tree, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON, its tensors by name; they are put into `tensors`."""
    if isinstance(value, Tensor | np.ndarray):
        kind = "$tensor" if isinstance(value, Tensor) else "$array"
        if name in tensors:
            raise ValueError(f"two tensors would be called {name}")
        tensors[name] = _own(torch.as_tensor(value))
        return {kind: name}
    if isinstance(value, Mapping):
        return {
            _key(k): _described(v, f"{name}/{k}" if name else k, tensors) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_described(v, f"{name}/{n}", tensors) for n, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: a {type(value).__name__} cannot be saved")


def _key(key: object) -> str:
    if not isinstance(key, str) or key.startswith("$"):
        raise TypeError(f"{key!r} cannot be a key")
    return key


def _rebuilt(value: Any, tensors: dict[str, Tensor]) -> Tree:
    """Undo `_described`, taking every tensor out of `tensors`: none is to be used twice."""
    if isinstance(value, list):
        return [_rebuilt(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$tensor": str(name), **rest} if not rest:
            return tensors.pop(name)
        case {"$array": str(name), **rest} if not rest:
            return tensors.pop(name).numpy()
        case {"$float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
            return float(text)
    return {_key(k): _rebuilt(v, tensors) for k, v in value.items()}


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return the checksum of all names, types, shapes and bytes."""
    total = hashlib.sha256(text.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        value = tensors[name]
        kind = f"\0{name}\0{value.dtype}\0{tuple(value.shape)}\0"
        total.update(kind.encode(errors="surrogatepass"))
        total.update(value.numpy().tobytes())
    return total.hexdigest()


def _short(what: object) -> str:
    """Return what an error says, on one line, never long."""
    text = " ".join((str(what) or type(what).__name__).split())
    return text if len(text) <= 120 else text[:117] + "..."
