"""Two agents on one picture: each as it would be shown alone, on the same axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import OTHER, RELEVANT
from rl_expire.retention.importance_panel import ImportancePanel
from rl_expire.retention.pair import Pair, PairPicture
from rl_expire.retention.picture import Picture
from rl_expire.retention.time_axis import TimeAxis
from rl_expire.retention.trace import Trace
from tests.traces import random_trace, weighed_trace

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


@pytest.mark.parametrize("every", [1, 3])
def test_what_matters_stands_beside_what_is_held_and_says_that_it_is_something_else(
    every: int, said: Said
) -> None:
    alone = PairPicture(Pair((LONG, memoryless(SHORT)), ("one", "other")))
    picture = PairPicture(Pair((LONG, weighed_trace(25, every=every)), ("one", "other")))
    texts = said.at(picture, 20)
    assert texts.count("importance for this decision") == 1
    assert texts.count("kept of") == 1
    np.testing.assert_array_equal(pixels(alone.draw(20))[UPPER], pixels(picture.draw(20))[UPPER])
    assert said.count("Every step leaves a memory; its bar is how long it will still last:  ") == 0


def test_the_more_it_matters_the_higher_is_its_stem() -> None:
    """What is hidden together has one stem; what does not matter has none."""
    trace = weighed_trace(24, every=4)
    assert trace.importance is not None
    shares = np.array([1.0, 0.005, 0.3, 0.6, 0.0, 0.9], np.float32)
    importance = replace(trace.importance, shares=(*trace.importance.shares[:-1], shares))
    axis = TimeAxis(100, 900, 24)
    image = Image.new("RGB", (1000, 400))
    panel = ImportancePanel(trace, importance, axis, 0, 320)
    panel.draw(image, ImageDraw.Draw(image), 23)
    drawn = np.asarray(image)
    tops = {}
    for block in range(6):
        column = drawn[panel.highest - 10 : panel.baseline - 10, round(axis.x(4 * block + 1.5))]
        rows = (column == (RELEVANT if block == 0 else OTHER)).all(1).nonzero()[0]
        tops[block] = rows.min() if len(rows) else None
    assert tops[1] is tops[4] is None
    order = [tops[block] for block in (0, 5, 3, 2)]
    assert order == sorted(order)
    assert len(set(order)) == 4


def test_alone_it_says_how_much_is_kept_of_each_kind(said: Said) -> None:
    picture = Picture(LONG)
    for t in (0, 20, 40):
        said.clear()
        picture.draw(t)
        now = min(t, 39)
        kept = len(LONG.steps[now].layers[0])
        assert "needed later: 1 of 1 kept" in said
        assert f"other things: {kept - 1} of {now} kept" in said


@pytest.mark.parametrize("texts", [None, ["a bell rings .", "you walk on ."]])
def test_alone_it_says_how_importance_is_found(texts: list[str] | None, said: Said) -> None:
    picture = Picture(weighed_trace(30, every=2, texts=texts))
    assert any("(2 steps at a time)" in text for text in said)
    said.clear()
    for t in (0, 29, 30):
        pixels(picture.draw(t))
    assert said.count("importance for this decision") == 3
    assert said.count("decides now") == 1
    assert any("a bell rings ." in text for text in said) == (texts is not None)


def test_many_layers_fit() -> None:
    for layers in (2, 3):
        traces = random_trace(12, layers=layers), random_trace(12, layers=1, texts=["a bell ."])
        pixels(PairPicture(Pair(traces, ("deep", "shallow"))).draw(6))
