"""The checkpoint format: one safetensors file, with everything but tensors as JSON in its header.

Reading a checkpoint runs no code from it. A checksum of the whole content distinguishes a complete
checkpoint from one that is damaged or was never finished.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from rl_expire.runs.atomic import atomic_write
from rl_expire.runs.regular_file import check_regular

FORMAT = "rl_expire checkpoint 1"
LARGEST_HEADER = 16 * 2**20
"""Largest header to read, in bytes; real ones have some ten thousand."""

Tree = Any
"""Nested dicts with string keys, lists, tensors, NumPy arrays, numbers, strings and None."""


class CheckpointError(ValueError):
    """A file that is not a checkpoint, or is damaged; the message says why."""


def save_tree(tree: Tree, path: Path) -> None:
    """Write `tree` to `path` atomically, and wait until it is on the disk.

    An existing file is replaced only after the new one has been read back successfully.

    Args:
        tree: what to save.
        path: file to write.

    Raises:
        UnwritableError: the file cannot be written.
        CheckpointError: what was read back is not what was written.
        TypeError: `tree` holds an object that cannot be saved.
        ValueError: two tensors would have the same name.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_encode(tree, "", tensors), allow_nan=False, separators=(",", ":"))
    metadata = {"format": FORMAT, "state": text, "sha256": checksum(tensors, text)}
    _write(save_tensors(tensors, metadata), path, verify=True)


def load_tree(path: Path) -> Tree:
    """Read what `save_tree` wrote to `path`, with tensors on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is not a checkpoint, or is damaged.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"it is not in the format {FORMAT!r}")
    text = str(metadata.get("state"))
    if checksum(tensors, text) != metadata.get("sha256"):
        raise CheckpointError("its checksum is wrong: it was damaged or edited")
    try:
        tree = _decode(json.loads(text), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"its JSON does not describe a state ({_one_line(error)})") from error
    if tensors:
        raise CheckpointError(f"its JSON does not mention the tensor {_one_line(min(tensors))}")
    return tree


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the metadata of any safetensors file.

    The names of tensors are never used as paths.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it cannot be read, or is not a safetensors file.
    """
    try:
        check_regular(path)
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except (OSError, ValueError, MemoryError) as error:
        raise CheckpointError(f"it cannot be read ({_one_line(error)})") from error
    length = int.from_bytes(data[:8], "little")
    if length > min(LARGEST_HEADER, len(data) - 8):
        raise CheckpointError(
            f"its header would have {length:,} bytes: it is cut off, or not a safetensors file"
        )
    try:
        # Cloned for alignment: the length of the header decides where the tensors start in `data`,
        # and sums over unaligned numbers may round differently.
        tensors = {name: value.clone() for name, value in load_tensors(data).items()}
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise CheckpointError(f"it is not a valid safetensors file ({_one_line(error)})") from error
    except MemoryError as error:
        raise CheckpointError("it does not fit into memory") from error
    return tensors, metadata


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors alone, in the form that any safetensors library reads, atomically.

    Raises:
        UnwritableError: the file cannot be written.
    """
    tensors = {name: _cpu_copy(value) for name, value in weights.items()}
    _write(save_tensors(tensors, {"format": "pt"}), path)


def checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return the SHA-256 of `text` and of the name, dtype, shape and bytes of every tensor."""
    total = hashlib.sha256(text.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        value = tensors[name]
        layout = f"\0{name}\0{value.dtype}\0{tuple(value.shape)}\0"
        total.update(layout.encode(errors="surrogatepass"))
        total.update(value.numpy().tobytes())
    return total.hexdigest()


def _write(data: bytes, path: Path, *, verify: bool = False) -> None:
    """Write `data` to `path` atomically and flush it; with `verify`, read it back as a tree."""
    check = load_tree if verify else None
    with atomic_write(path, flush=True, verify=check) as temporary, temporary.open("wb") as file:
        file.write(data)


def _cpu_copy(value: Tensor) -> Tensor:
    """Return a contiguous copy on the CPU."""
    return value.detach().to("cpu", copy=True).contiguous()


def _encode(value: Tree, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON data; move its tensors to `tensors` and refer to them by name."""
    if isinstance(value, Tensor | np.ndarray):
        kind = "$tensor" if isinstance(value, Tensor) else "$array"
        if name in tensors:
            raise ValueError(f"two tensors would be called {name}")
        tensors[name] = _cpu_copy(torch.as_tensor(value))
        return {kind: name}
    if isinstance(value, Mapping):
        return {
            _escaped(k): _encode(v, f"{name}/{k}" if name else k, tensors) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_encode(v, f"{name}/{n}", tensors) for n, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: a {type(value).__name__} cannot be saved")


def _decode(value: Any, tensors: dict[str, Tensor]) -> Tree:
    """Invert `_encode`. Each tensor is taken out of `tensors`, so that none is used twice."""
    if isinstance(value, list):
        return [_decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$tensor": str(name), **rest} if not rest:
            return tensors.pop(name)
        case {"$array": str(name), **rest} if not rest:
            return tensors.pop(name).numpy()
        case {"$float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
            return float(text)
    return {_unescaped(k): _decode(v, tensors) for k, v in value.items()}


def _escaped(key: object) -> str:
    """Return a key as JSON holds it: a `$` that it begins with is doubled.

    Raises:
        TypeError: it is not a string.
    """
    if not isinstance(key, str):
        raise TypeError(f"{key!r} cannot be a key")
    return f"${key}" if key.startswith("$") else key


def _unescaped(key: str) -> str:
    """Invert `_escaped`.

    Raises:
        TypeError: the key begins with the single `$` of an encoded value.
    """
    if key.startswith("$") and not key.startswith("$$"):
        raise TypeError(f"{key!r} cannot be a key")
    return key.removeprefix("$")


def _one_line(error: object) -> str:
    """Return the text of an error on one line of at most 120 characters."""
    text = " ".join((str(error) or type(error).__name__).split())
    return text if len(text) <= 120 else text[:117] + "..."
