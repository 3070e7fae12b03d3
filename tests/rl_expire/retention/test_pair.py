"""Two agents in one picture: the same layout and axes for both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rl_expire.retention.canvas import OTHER, RELEVANT
from rl_expire.retention.importance_panel import ImportancePanel
from rl_expire.retention.memory_column import NO_MEMORIES
from rl_expire.retention.pair import Pair, PairPicture
from rl_expire.retention.picture import Picture
from rl_expire.retention.time_axis import TimeAxis
from rl_expire.retention.trace import Trace
from tests.traces import random_trace, weighed_trace

SIZE = (1280, 720)
UPPER, LOWER = slice(72, 388), slice(396, 712)
"""Rows of the two halves."""


class Written(list[str]):
    """The texts written on pictures."""

    def at(self, picture: PairPicture, t: int) -> list[str]:
        """Return the texts that are written for step `t`."""
        self.clear()
        picture.draw(t)
        return list(self)


@pytest.fixture(name="written")
def written_fixture(monkeypatch: pytest.MonkeyPatch) -> Written:
    """Collect the texts written from now on."""
    written, draw = Written(), ImageDraw.ImageDraw.text

    def note(self: ImageDraw.ImageDraw, at: Any, text: str, *args: Any, **options: Any) -> None:
        written.append(text)
        draw(self, at, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    return written


def memoryless(trace: Trace) -> Trace:
    """Return the same episode without memories."""
    return replace(trace, steps=tuple(replace(step, layers=()) for step in trace.steps))


def pixels(image: Image.Image) -> np.ndarray:
    """Return a picture as an array."""
    assert image.size == SIZE
    return np.asarray(image)


LONG, SHORT = random_trace(40, longest=100), random_trace(25, longest=8, seed=1)


def test_an_agent_looks_the_same_in_either_half() -> None:
    """Both halves have the same axes, whichever episode is longer or lives longer."""
    one = PairPicture(Pair((LONG, SHORT), ("long", "short")))
    other = PairPicture(Pair((SHORT, LONG), ("short", "long")))
    for t in (0, 10, 24, 25, 39, 40):
        above, below = pixels(one.draw(t)), pixels(other.draw(t))
        np.testing.assert_array_equal(above[UPPER], below[LOWER])
        np.testing.assert_array_equal(above[LOWER], below[UPPER])


def test_the_shorter_episode_stays_at_its_end_until_the_other_is_over(written: Written) -> None:
    picture = PairPicture(Pair((LONG, SHORT), ("long", "short")))
    ended = pixels(picture.draw(25))
    assert (pixels(picture.draw(24))[LOWER] != ended[LOWER]).any()
    for t in (26, 39, 40):
        now = pixels(picture.draw(t))
        np.testing.assert_array_equal(now[LOWER], ended[LOWER])
        assert (now[UPPER] != ended[UPPER]).any()
    counts = [written.at(picture, t).count("Success") for t in (24, 25, 39, 40)]
    assert counts == [0, 1, 1, 2]
    decisions = [written.at(picture, t).count("decision") for t in (23, 24, 25, 39, 40)]
    assert decisions == [0, 1, 0, 1, 0], "an episode that is over has no decision"


def test_both_halves_show_memories_kept_their_size_and_the_policy(written: Written) -> None:
    picture = PairPicture(Pair((LONG, SHORT), ("long", "short")))
    texts = written.at(picture, 20)
    for trace in (LONG, SHORT):
        (layer,) = trace.steps[20].layers
        assert str(len(layer.written)) in texts
        assert f"{layer.nbytes / 1000:,.0f} kB of memory" in texts
        for share in trace.steps[20].policy:
            assert f"{share:.0%}" in texts
    assert texts.count("21") == 2, "the number of memories written"
    assert texts.count("step 21") == 2


def test_names_of_agents_are_shown_and_shortened_if_necessary(written: Written) -> None:
    PairPicture(Pair((LONG, SHORT), ("expire-span", "transformer-xl " + "9" * 90)), note="a note")
    assert "expire-span" in written
    assert any(text.startswith("transformer-xl 999") and text.endswith("…") for text in written)
    assert "a note · seed 0" in written


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_agent_without_memories_shows_its_world_and_a_note(
    order: tuple[int, int], written: Written
) -> None:
    given = (LONG, memoryless(SHORT))
    traces = given[order[0]], given[order[1]]
    picture = PairPicture(Pair(traces, ("one", "other")))
    assert written.count(NO_MEMORIES) == 1
    texts = written.at(picture, 30)
    assert texts.count("memories kept") == 1
    assert texts.count("Success") == 1
    assert texts.count("forward") == 1


def test_two_agents_without_memories_show_the_note_twice(written: Written) -> None:
    picture = PairPicture(Pair((memoryless(LONG), memoryless(SHORT)), ("one", "other")))
    assert written.count(NO_MEMORIES) == 2
    assert "memories kept" not in written.at(picture, 30)


@pytest.mark.parametrize("every", [1, 3])
def test_importance_is_shown_beside_memories_and_labelled_as_such(
    every: int, written: Written
) -> None:
    alone = PairPicture(Pair((LONG, memoryless(SHORT)), ("one", "other")))
    picture = PairPicture(Pair((LONG, weighed_trace(25, every=every)), ("one", "other")))
    texts = written.at(picture, 20)
    assert texts.count("importance") == 1
    assert texts.count("memories kept") == 1
    np.testing.assert_array_equal(pixels(alone.draw(20))[UPPER], pixels(picture.draw(20))[UPPER])


def test_the_more_important_an_observation_the_higher_its_stem() -> None:
    """Steps hidden together share a stem; unimportant ones have none."""
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


def test_the_picture_of_one_agent_counts_memories_of_each_kind(written: Written) -> None:
    picture = Picture(LONG)
    for t in (0, 20, 40):
        written.clear()
        picture.draw(t)
        now = min(t, 39)
        kept = len(LONG.steps[now].layers[0])
        count = f"{kept - 1} of {now} kept" if now else "none so far"
        assert "needed later: 1 of 1 kept" in written
        assert f"other observations: {count}" in written


@pytest.mark.parametrize("texts", [None, ["a bell rings .", "you walk on ."]])
def test_the_picture_of_one_agent_explains_importance(
    texts: list[str] | None, written: Written
) -> None:
    picture = Picture(weighed_trace(30, every=2, texts=texts))
    assert any("(2 steps at a time)" in text for text in written)
    written.clear()
    for t in (0, 29, 30):
        pixels(picture.draw(t))
    assert written.count("importance") == 3
    assert written.count("decision") == 1
    assert any("a bell rings ." in text for text in written) == (texts is not None)


def test_several_layers_and_texts_fit_into_a_half() -> None:
    for layers in (2, 3):
        traces = random_trace(12, layers=layers), random_trace(12, layers=1, texts=["a bell ."])
        pixels(PairPicture(Pair(traces, ("deep", "shallow"))).draw(6))
