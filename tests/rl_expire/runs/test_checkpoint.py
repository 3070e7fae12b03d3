"""The checkpoint format: exact to the bit; bad files are refused in one line and run no code."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors

from rl_expire.runs.checkpoint import FORMAT, CheckpointError, checksum, load_tree, save_tree
from tests.support import same_tree

STATE = {
    "weights": {"a.b": torch.arange(3.0), "none": torch.zeros(0, 2)},
    "flag": torch.tensor(True),
    "arrays": [np.arange(4, dtype=np.uint64), np.array([np.nan, 1.0])],
    "numbers": [7, 2**70, 1.5, float("nan"), float("-inf"), True, None, "text \udc80 é"],
    "empty": [{}, []],
    "keys": [{"$tensor": "x"}, {"$": 1, "$$": torch.ones(1), "": torch.ones(2), "a/b": 4}],
}


def refusal(path: Path) -> str:
    """The line in which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_tree(path)
    (line,) = str(caught.value).splitlines()
    assert 0 < len(line) < 300
    return line


def test_what_is_saved_is_loaded_exactly(tmp_path: Path) -> None:
    save_tree(STATE, tmp_path / "x")
    same_tree(load_tree(tmp_path / "x"), STATE)
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    "state",
    [
        {1: 2},
        {"x": object()},
        {"a/b": torch.ones(1), "a": {"b": torch.ones(2)}},
    ],
)
def test_what_could_not_be_loaded_is_not_saved(state: Any, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        save_tree(state, tmp_path / "x")
    assert not os.listdir(tmp_path)


def test_nothing_is_stored_twice(tmp_path: Path) -> None:
    save_tree({"x": torch.ones(1)}, tmp_path / "x")
    data = (tmp_path / "x").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert set(header) == {"__metadata__", "x"}
    assert set(header["__metadata__"]) == {"format", "state", "sha256"}


class Hostile:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x, 2))])
def test_a_pickle_is_refused_and_runs_no_code(write: Callable[..., Any], tmp_path: Path) -> None:
    mark, path = tmp_path / "was here", tmp_path / "x"
    write({"agent": Hostile(mark)}, path)
    refusal(path)
    assert not mark.exists()
    if write is torch.save:
        torch.load(path, weights_only=False)
        assert mark.exists(), "the file is not hostile: nothing was tested"


def with_header(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with this header."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a few bytes": b"hello",
    "a header beyond the file": with_header(b"{}", length=10**6),
    "a header of exabytes": with_header(b"{}", length=2**63),
    "a header of 20 MB": with_header(b"{" + b" " * 20_000_000 + b"}"),
    "no JSON": with_header(b"not json"),
    "no dict": with_header(b"[1, 2]"),
    "endless nesting": with_header(b"[" * 100_000),
    "a tensor beyond the file": with_header(
        b'{"x":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'
    ),
    "a shape that overflows": with_header(
        b'{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'
    ),
    "an unknown type": with_header(
        b'{"x":{"dtype":"OBJ","shape":[1],"data_offsets":[0,4]}}', bytes(4)
    ),
    "no metadata": with_header(b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "metadata that is no dict": with_header(b'{"__metadata__":[1]}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(HOSTILE[name])
    refusal(tmp_path / "x")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"$tensor":"../../etc/passwd"}}',
        '{"a":{"$tensor":"x"},"b":{"$tensor":"x"}}',
        '{"a":{"$float":"1"}}',
        '{"a":{"$tensor":["x"]}}',
        '{"a":{"$code":"x"}}',
        "[" * 100_000,
        "1" * 10_000,
        "{}",
        "nonsense",
    ],
)
def test_hostile_descriptions_with_a_valid_checksum_are_refused_in_one_line(
    text: str, tmp_path: Path
) -> None:
    tensors = {"x": torch.ones(1)}
    metadata = {"format": FORMAT, "state": text, "sha256": checksum(tensors, text)}
    (tmp_path / "x").write_bytes(save_tensors(tensors, metadata))
    refusal(tmp_path / "x")


def test_names_that_look_like_paths_are_only_names(tmp_path: Path) -> None:
    names = {"../../outside": torch.ones(1), "/etc/passwd": torch.ones(2), "a\0b": torch.ones(3)}
    folder = tmp_path / "deep" / "run"
    folder.mkdir(parents=True)
    save_tree(names, folder / "x")
    same_tree(load_tree(folder / "x"), names)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "x"]
