"""`experiments/language.py`: characters, with several kinds of memory side by side."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.characters.learner import Learner, score
from experiments.characters.model import Body, Characters, Kind
from experiments.characters.text import in_rows, read_text, split
from experiments.characters.training import Training
from tests.experiments.conftest import Call, read_json

SMALL = Body(width=8, layers=2, heads=2, ramp=2.0)
TINY = ("--width", "8", "--heads", "2", "--rows", "2", "--steps", "8", "--updates", "3")
KINDS: list[Kind] = [
    *("expire-span", "expire-span-joint", "transformer-xl", "adaptive-span", "compressive"),
]


def test_the_end_of_a_text_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(bytes(range(200)) * 5)
    text = read_text(tmp_path / "text", 900)
    learn, test = split(text, rows=3, steps=4)
    assert learn.shape == (3, 285)
    assert test.shape == (3, 15)
    assert bytes(learn.flatten().tolist()) == text[:855]
    assert bytes(test.flatten().tolist()) == text[855:]
    assert in_rows(b"abcdefg", 2).tolist() == [[97, 98, 99], [100, 101, 102]]


def test_the_default_text_is_on_every_machine() -> None:
    assert len(read_text(None, 100_000)) == 100_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_a_repeated_text(kind: Kind) -> None:
    torch.manual_seed(0)
    text = in_rows(b"memory. " * 400, 4)
    model = Characters(kind, 12, SMALL)
    learner = Learner(model, Training(updates=25, rate=3e-2, alpha=0.01))
    before, _, _ = score(model, text, 8)
    memory = model.stack.initial_memory(4)
    for update in range(25):
        memory = learner.update(text[:, 8 * update : 8 * update + 9], memory, update).memory
    after, held, _ = score(model, text, 8)
    assert after < 0.5 * before
    assert 0 < held <= 12 + SMALL.ramp + 1


def test_lifetimes_learn_from_distillation_alone_and_all_else_from_the_text() -> None:
    torch.manual_seed(0)
    model = Characters("expire-span", 12, SMALL)
    segment = in_rows(b"one text or another, as long as it has letters", 2)[:, :9]
    memory = model.stack.initial_memory(2)
    Learner(model, Training(alpha=0.0, updates=10, rate=1e-9)).update(segment, memory, 0)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    logits, _ = model(segment[:, :-1], memory)
    model.zero_grad()
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), segment[:, 1:].flatten())
    loss.backward()
    assert loss.item() > math.log(2)
    for name, p in model.named_parameters():
        if "lifetime" not in name and p.grad is not None:
            direction = torch.cosine_similarity(p.grad.flatten(), gradients[name].flatten(), 0)
            assert direction > 0.999 or p.grad.norm() < 1e-6, name


def test_a_comparison_is_written_and_not_made_again(call: Call, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"some words, and more words. " * 50)
    words = (*TINY, "--text", "text", "--out", "out", "--models", "transformer-xl:4")
    done = call("language.py", *words)
    assert done.code == 0, done.err
    result = tmp_path / "out" / "transformer-xl-4.json"
    assert read_json(result)["result"]["kind"] == "transformer-xl"
    assert "| transformer-xl:4 |" in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "quality.svg").exists()
    time = result.stat().st_mtime_ns
    assert call("language.py", *words).code == 0
    assert result.stat().st_mtime_ns == time


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--text", "none"), "--text none cannot be read"),
        (("--models", "gru:3"), "--models gru:3 is not NAME:SIZE"),
        (("--heads", "5"), "--heads is 5: choose a divisor of the width 64"),
        (("--rows", "0"), "--rows is 0"),
        (("--most", "100"), "--text has 100 bytes, too few"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], problem: str, call: Call) -> None:
    assert problem in call("language.py", *words).line
