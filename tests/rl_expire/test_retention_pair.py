"""Two agents on one picture: each as it would be shown alone, on the same axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rl_expire.retention import Trace
from rl_expire.retention_pair import Pair, PairPicture
from tests.traces import random_trace

SIZE = (1280, 720)
UPPER, LOWER = slice(72, 388), slice(396, 712)
"""Rows of the two halves."""


class Said(list[str]):
    """All that has been written on pictures."""

    def at(self, picture: PairPicture, t: int) -> list[str]:
        """What moves: all that is written for step `t`."""
        self.clear()
        picture.draw(t)
        return list(self)


@pytest.fixture(name="said")
def said_fixture(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Notes what is written from now on."""
    said, draw = Said(), ImageDraw.ImageDraw.text

    def note(self: ImageDraw.ImageDraw, at: Any, text: str, *args: Any, **options: Any) -> None:
        said.append(text)
        draw(self, at, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    return said


def memoryless(trace: Trace) -> Trace:
    return replace(trace, steps=tuple(replace(step, layers=()) for step in trace.steps))


def pixels(image: Image.Image) -> np.ndarray:
    assert image.size == SIZE
    return np.asarray(image)


LONG, SHORT = random_trace(40, longest=100), random_trace(25, longest=8, seed=1)


def test_the_upper_one_looks_below_as_it_does_above() -> None:
    """Both halves have the same axes, whichever episode is longer or lives longer."""
    one = PairPicture(Pair((LONG, SHORT), ("long", "short")))
    other = PairPicture(Pair((SHORT, LONG), ("short", "long")))
    for t in (0, 10, 24, 25, 39, 40):
        above, below = pixels(one.draw(t)), pixels(other.draw(t))
        np.testing.assert_array_equal(above[UPPER], below[LOWER])
        np.testing.assert_array_equal(above[LOWER], below[UPPER])


def test_the_shorter_one_rests_at_its_end_until_the_other_is_over(said: Said) -> None:
    picture = PairPicture(Pair((LONG, SHORT), ("long", "short")))
    ended = pixels(picture.draw(25))
    assert (pixels(picture.draw(24))[LOWER] != ended[LOWER]).any()
    for t in (26, 39, 40):
        now = pixels(picture.draw(t))
        np.testing.assert_array_equal(now[LOWER], ended[LOWER])
        assert (now[UPPER] != ended[UPPER]).any()
    counts = [said.at(picture, t).count("Success") for t in (24, 25, 39, 40)]
    assert counts == [0, 1, 1, 2]
    decides = [said.at(picture, t).count("decides now") for t in (23, 24, 25, 39, 40)]
    assert decides == [0, 1, 0, 1, 0], "who is over decides nothing"


def test_both_say_what_they_keep_and_what_it_takes(said: Said) -> None:
    picture = PairPicture(Pair((LONG, SHORT), ("long", "short")))
    texts = said.at(picture, 20)
    for trace in (LONG, SHORT):
        (layer,) = trace.steps[20].layers
        assert str(len(layer.written)) in texts
        assert f"{layer.nbytes / 1000:,.0f} kB of memory" in texts
        for share in trace.steps[20].policy:
            assert f"{100 * share:.0f} %" in texts
    assert texts.count("21") == 2, "both have seen as much"
    assert texts.count("step 21") == 2


def test_their_names_are_on_it_however_long(said: Said) -> None:
    PairPicture(Pair((LONG, SHORT), ("expire-span", "transformer-xl " + "9" * 90)), note="a note")
    assert "expire-span" in said
    assert any(text.startswith("transformer-xl 999") and text.endswith("…") for text in said)
    assert "a note · seed 0" in said


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_agent_without_memories_has_its_world_and_a_line(
    order: tuple[int, int], said: Said
) -> None:
    given = (LONG, memoryless(SHORT))
    traces = given[order[0]], given[order[1]]
    picture = PairPicture(Pair(traces, ("one", "other")))
    line = "This agent keeps no memories one by one"
    assert said.count(line) == 1
    texts = said.at(picture, 30)
    assert texts.count("kept of") == 1
    assert texts.count("Success") == 1
    assert texts.count("forward") == 1


def test_two_agents_without_memories_can_be_shown(said: Said) -> None:
    picture = PairPicture(Pair((memoryless(LONG), memoryless(SHORT)), ("one", "other")))
    assert said.count("This agent keeps no memories one by one") == 2
    assert "kept of" not in said.at(picture, 30)


def test_many_layers_fit() -> None:
    for layers in (2, 3):
        traces = random_trace(12, layers=layers), random_trace(12, layers=1, texts=["a bell ."])
        pixels(PairPicture(Pair(traces, ("deep", "shallow"))).draw(6))
