"""A trainer's checkpoint with random changes, with a wrong and with a right checksum."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_expire.learning.trainer import Trainer
from rl_expire.runs.checkpoint import CheckpointError, load_tree, save_tree
from tests.rl_expire.learning.test_resume import AGENTS, make_trainer
from tests.support import same_tree

BYTE_CHANGES, CONTENT_CHANGES = 150, 100


@pytest.fixture(scope="module")
def trainer() -> Trainer[Any]:
    trainer = make_trainer(AGENTS["expire-span"])
    for _ in range(16):
        trainer.update()
    assert trainer.schedule.forgetting, "every part of the state is there"
    assert trainer.schedule.goal.best is not None
    return trainer


def test_any_change_of_the_bytes_is_noticed(trainer: Trainer[Any], tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_tree(trainer.state_dict(), path)
    good, dice = path.read_bytes(), random.Random(0)
    expected, refusals = load_tree(path), []
    for _ in range(BYTE_CHANGES):
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
            loaded = load_tree(path)
        except CheckpointError as error:
            refusals.append(str(error))
            continue
        same_tree(loaded, expected)  # some spaces can change without harm
    assert len(refusals) > 0.9 * BYTE_CHANGES
    assert all(len(line.splitlines()) == 1 for line in refusals)


def node_paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of the nodes and leaves of a tree, its root excepted."""
    if path:
        yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from node_paths(value, (*path, key))
    elif isinstance(tree, list):
        for n, value in enumerate(tree[:3]):
            yield from node_paths(value, (*path, n))


def other_value(value: Any, dice: random.Random) -> Any:
    """Another value to put in the place of `value`."""
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


def changed(state: Any, dice: random.Random) -> Any:
    """A copy of `state` in which something is changed, lost or added."""
    path = dice.choice(list(node_paths(state)))

    def rebuilt(tree: Any, path: tuple[Any, ...]) -> Any:
        if not path:
            return other_value(tree, dice)
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
    """With valid checksums: each is refused in one line, and nothing is half loaded."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and not what is tested
    good, dice, path = trainer.state_dict(), random.Random(1), tmp_path / "x"
    refusals = []
    for n in range(CONTENT_CHANGES):
        save_tree(bad := changed(good, dice), path)
        try:
            trainer.load_state_dict(load_tree(path))
        except ValueError as error:
            refusals.append(str(error))
            if n % 10 == 0:
                same_tree(trainer.state_dict(), good)
        else:
            kept = {k: v for k, v in trainer.state_dict().items() if k != "actor"}
            same_tree(kept, {k: bad[k] for k in kept})
            trainer.load_state_dict(good)
    same_tree(trainer.state_dict(), good)
    trainer.update()  # it still works
    trainer.load_state_dict(good)
    assert len(refusals) > 0.8 * CONTENT_CHANGES
    assert all(len(line.splitlines()) == 1 for line in refusals)
