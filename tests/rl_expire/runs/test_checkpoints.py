"""Checkpoints: whole or not at all, refused in one line if damaged or hostile."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_expire.runs import checkpoint
from rl_expire.runs.checkpoint import CheckpointError, load_tree, save_tree
from rl_expire.runs.checkpoints import Checkpoints
from rl_expire.learning.trainer import Trainer
from tests.rl_expire.learning.test_resume import AGENTS, make_trainer
from tests.support import full, same_tree

STATE = {
    "weights": {"a.b": torch.arange(3.0), "none": torch.zeros(0, 2)},
    "flag": torch.tensor(True),
    "arrays": [np.arange(4, dtype=np.uint64), np.array([np.nan, 1.0])],
    "numbers": [7, 2**70, 1.5, float("nan"), float("-inf"), True, None, "text \udc80 é"],
    "empty": [{}, []],
}
OF_BYTES, OF_CONTENT = 700, 300
"""Mutations of each kind: 1,000 together."""


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "run" / "checkpoints")


@pytest.fixture(autouse=True)
def _folder(kept: Checkpoints) -> None:
    kept.folder.parent.mkdir()


def names(kept: Checkpoints) -> list[str]:
    return sorted(os.listdir(kept.folder))


def taken(kept: Checkpoints) -> Any:
    return kept.load(lambda state: state)


def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    save_tree(STATE, tmp_path / "x")
    same_tree(load_tree(tmp_path / "x"), STATE)
    assert sorted(os.listdir(tmp_path)) == ["run", "x"]


@pytest.mark.parametrize(
    "state", [{1: 2}, {"$tensor": "x"}, {"x": object()}, {"a/b": torch.ones(1), "a": {"b": 0}}]
)
def test_what_cannot_come_back_is_not_saved(state: Any, tmp_path: Path) -> None:
    if "a/b" in state:
        state["a"]["b"] = torch.ones(2)
    with pytest.raises((TypeError, ValueError)):
        save_tree(state, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_last_few_and_the_best_are_kept(kept: Checkpoints) -> None:
    for n in range(1, 6):
        kept.save({"n": n}, n, keep=2, best=n == 2)
    assert names(kept) == ["00000004.safetensors", "00000005.safetensors", "best.safetensors"]
    assert taken(kept) == {"n": 5}
    assert kept.load(lambda s: s, best=True) == {"n": 2}


def test_going_on_from_an_earlier_one_replaces_the_later_ones(kept: Checkpoints) -> None:
    for n in (10, 20):
        kept.save({"n": n}, n, keep=2)
    kept.save({"n": 15}, 15, keep=2)
    assert names(kept) == ["00000010.safetensors", "00000015.safetensors"]


def test_a_damaged_one_is_passed_over_in_one_line(
    kept: Checkpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in (1, 2):
        kept.save({"n": n}, n, keep=2)
    newest = kept.paths()[0]
    newest.write_bytes(newest.read_bytes()[:-3])
    assert taken(kept) == {"n": 1}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{newest} cannot be used: ")
    assert line.endswith("; using 00000001.safetensors")
    assert [bool(wrong) for _, wrong in kept.check()] == [True, False]


def test_none_at_all_none_good_and_old_ones_are_told_apart(kept: Checkpoints) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        taken(kept)
    kept.save({"n": 1}, 1, keep=2)
    kept.paths()[0].write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be used"):
        taken(kept)
    kept.paths()[0].rename(kept.folder / "last.pt")
    with pytest.raises(CheckpointError, match=r"an earlier version, whose last\.pt"):
        taken(kept)


@pytest.mark.parametrize("broken", ["os.replace", "os.fsync", "read back"])
def test_without_space_or_with_a_lying_disk_what_was_there_stays(
    broken: str, kept: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.save({"n": 1}, 1, keep=1)
    before = kept.paths()[0].read_bytes()
    with monkeypatch.context() as patch:
        if broken == "read back":
            write = checkpoint.write_through
            patch.setattr(checkpoint, "write_through", lambda d, p: write(d[:-1] + b"!", p))
        else:
            patch.setattr(broken, full)
        with pytest.raises((OSError, CheckpointError)):
            kept.save({"n": 2, "w": torch.ones(2)}, 2, keep=1)
    assert names(kept) == ["00000001.safetensors"]
    assert kept.paths()[0].read_bytes() == before
    kept.save({"n": 2}, 2, keep=1)
    assert taken(kept) == {"n": 2}


def test_what_a_killed_process_left_half_written_is_cleared_away(kept: Checkpoints) -> None:
    kept.save({"n": 1}, 1, keep=2)
    (kept.folder / ".00000002.safetensors.part").write_bytes(b"half")
    assert taken(kept) == {"n": 1}
    kept.save({"n": 3}, 3, keep=2)
    assert names(kept) == ["00000001.safetensors", "00000003.safetensors"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_on_a_disk_that_is_really_full_the_last_good_one_stays(small_disk: Path) -> None:
    kept = Checkpoints(small_disk)
    kept.save({"n": 1}, 1, keep=1)
    (small_disk / "other").write_bytes(bytes(200_000))
    large = {"n": 2, "w": torch.randn(20_000)}
    with pytest.raises(OSError, match="No space left"):
        kept.save(large, 2, keep=1)
    assert names(kept) == ["00000001.safetensors", "other"]
    assert taken(kept) == {"n": 1}
    (small_disk / "other").unlink()
    kept.save(large, 2, keep=1)
    same_tree(taken(kept), large)


class Hostile:
    """Runs code where it is unpickled without care."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x, 2))])
def test_a_pickle_is_refused_and_runs_nothing(write: Callable[..., Any], tmp_path: Path) -> None:
    mark, path = tmp_path / "was here", tmp_path / "x"
    write({"agent": Hostile(mark)}, path)
    with pytest.raises(CheckpointError) as caught:
        load_tree(path)
    one_line(caught)
    assert not mark.exists()
    if write is torch.save:
        torch.load(path, weights_only=False)
        assert mark.exists(), "the file is not hostile: nothing was tested"


def with_header(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a few bytes": b"hello",
    "a header beyond the file": with_header(b"{}", length=10**6),
    "a header of exabytes": with_header(b"{}", length=2**63),
    "a header of 20 MB": with_header(b"{" + b" " * 20_000_000 + b"}"),
    "no JSON": with_header(b"not json"),
    "no dict": with_header(b"[1, 2]"),
    "nested without end": with_header(b"[" * 100_000),
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
    with pytest.raises(CheckpointError) as caught:
        load_tree(tmp_path / "x")
    one_line(caught)


def signed(text: str, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """A file whose checksum is right, whatever it says: anybody can compute one."""
    told = {
        "format": checkpoint.FORMAT,
        "state": text,
        "sha256": checkpoint._digest(tensors, text),
    }
    path.write_bytes(checkpoint.save_tensors(tensors, told))


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
def test_hostile_descriptions_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    signed(text, {"x": torch.ones(1)}, tmp_path / "x")
    with pytest.raises(CheckpointError) as caught:
        load_tree(tmp_path / "x")
    one_line(caught)


def test_names_that_look_like_paths_are_only_names(tmp_path: Path) -> None:
    odd = {"../../outside": torch.ones(1), "/etc/passwd": torch.ones(2), "a\0b": torch.ones(3)}
    save_tree(odd, tmp_path / "x")
    same_tree(load_tree(tmp_path / "x"), odd)
    assert sorted(os.listdir(tmp_path)) == ["run", "x"]
    assert not (tmp_path.parent / "outside").exists()


# A whole trainer's checkpoint, changed a thousand times.


@pytest.fixture(scope="module")
def trainer() -> Trainer[Any]:
    trainer = make_trainer(AGENTS["expire-span"])
    for _ in range(12):  # in the forgetting phase: every part of the state is there
        trainer.update()
    return trainer


def test_any_change_of_the_bytes_is_noticed(trainer: Trainer[Any], tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_tree(trainer.state_dict(), path)
    good, dice = path.read_bytes(), random.Random(0)
    expected, said = load_tree(path), []
    for _ in range(OF_BYTES):
        data = bytearray(good)
        at = dice.randrange(len(data)) if dice.random() < 0.5 else dice.randrange(30_000)
        match dice.randrange(4):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 3:
                data[at : at + 64] = dice.randbytes(64)
        path.write_bytes(data)
        try:
            found = load_tree(path)
        except CheckpointError as error:
            said.append(str(error))
            continue
        same_tree(found, expected)  # some spaces can change without harm
    assert len(said) > 0.9 * OF_BYTES
    assert all(len(line.splitlines()) == 1 for line in said)


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that is in a tree, nodes and leaves."""
    if path:
        yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for n, value in enumerate(tree[:3]):
            yield from leaves(value, (*path, n))


def changed(value: Any, dice: random.Random) -> Any:
    """Something else in the place of `value`."""
    if isinstance(value, torch.Tensor | np.ndarray) and dice.random() < 0.8:
        array = np.array(value.numpy() if isinstance(value, torch.Tensor) else value)
        match dice.randrange(6):
            case 0:
                array = np.concatenate([np.atleast_1d(array)] * 2)
            case 1:
                array = array.astype(dice.choice([np.float16, np.int8, np.float64, np.bool_]))
            case 2 if array.dtype.kind == "f" and array.size:
                array.flat[dice.randrange(array.size)] = dice.choice([np.nan, np.inf, -np.inf])
            case 3 if array.ndim > 1:
                array = np.ascontiguousarray(array.reshape(-1))
            case 4:
                array = array[:0] if array.ndim else array[None]
            case _ if array.dtype != bool:
                limits = np.finfo if array.dtype.kind == "f" else np.iinfo
                array = np.full_like(array, dice.choice([limits(array.dtype).max, 0]))
        return array if isinstance(value, np.ndarray) else torch.as_tensor(array)
    some = [None, True, -1, 2**100, 1e308, float("nan"), "x" * 1000, [], {}, [[]], torch.ones(2)]
    return dice.choice([*some, np.ones((2, 2)), [value, value]])


def mutated(state: Any, dice: random.Random) -> Any:
    """A state with something in it changed, lost or added."""
    path = dice.choice(list(leaves(state)))

    def rebuilt(tree: Any, path: tuple[Any, ...]) -> Any:
        if not path:
            return changed(tree, dice)
        copy = dict(tree) if isinstance(tree, dict) else list(tree)
        if len(path) == 1 and dice.random() < 0.2:
            del copy[path[0]]
            if dice.random() < 0.5 and isinstance(copy, dict):
                copy["../" + str(path[0])] = torch.ones(1)
        else:
            copy[path[0]] = rebuilt(copy[path[0]], path[1:])
        return copy

    return rebuilt(state, path)


@pytest.mark.timeout(600)
def test_any_change_of_the_content_is_refused_or_loaded_whole(
    trainer: Trainer[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With checksums that are right: nothing but one line, and nothing half loaded."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and not what is tested
    good, dice, path = trainer.state_dict(), random.Random(1), tmp_path / "x"
    said = []
    for n in range(OF_CONTENT):
        save_tree(bad := mutated(good, dice), path)
        try:
            trainer.load_state_dict(load_tree(path))
        except ValueError as error:
            said.append(str(error))
            if n % 10 == 0:
                same_tree(trainer.state_dict(), good)
        else:
            kept = {k: v for k, v in trainer.state_dict().items() if k != "actor"}
            same_tree(kept, {k: bad[k] for k in kept})
            trainer.load_state_dict(good)
    same_tree(trainer.state_dict(), good)
    trainer.update()  # and it works
    trainer.load_state_dict(good)
    assert len(said) > 0.8 * OF_CONTENT
    assert all(len(line.splitlines()) == 1 for line in said)


def test_a_checkpoint_says_nothing_twice(tmp_path: Path) -> None:
    save_tree({"x": torch.ones(1)}, tmp_path / "x")
    data = (tmp_path / "x").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert set(header) == {"__metadata__", "x"}
    assert set(header["__metadata__"]) == {"format", "state", "sha256"}
