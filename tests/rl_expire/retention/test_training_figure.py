"""The figure of a training run."""

import math

import numpy as np
import pytest

from rl_expire.retention.training_figure import curve, training

pytest.importorskip("matplotlib")

STEPS = (1000, 2000, 3000)
LINES = [
    {"steps": 1000, "level": 4, "success": 0.5, "return": 0.4, "kept/0": 8.0, "seen": 8.0},
    {"steps": 2000, "level": 9, "success": None, "return": 0.6, "kept/0": 6.0, "seen": 20.0},
    {"steps": 3000, "level": 9, "success": 1.0, "return": 0.9, "kept/0": 6.0, "seen": 30.0},
]


def test_level_success_and_memories_are_drawn_over_millions_of_steps() -> None:
    level, score, memory = training(LINES).axes
    assert [axes.get_ylabel() for axes in (level, score, memory)] == [
        *("level", "success, recent", "memories, mean")
    ]
    np.testing.assert_array_equal(level.lines[0].get_ydata(), [4, 9, 9])
    np.testing.assert_array_equal(score.lines[0].get_ydata(), [0.5, math.nan, 1.0])
    seen, held = memory.lines
    np.testing.assert_array_equal(seen.get_ydata(), [8, 20, 30])
    np.testing.assert_array_equal(held.get_ydata(), [8, 6, 6])
    for axes in (level, score, memory):
        np.testing.assert_allclose(axes.lines[0].get_xdata(), np.array(STEPS) / 1e6)
    labels = [text.get_text() for text in memory.get_legend().get_texts()]
    assert labels == ["seen so far in an episode", "held"]


def test_with_one_level_and_unknown_success_the_return_is_drawn() -> None:
    lines = [line | {"level": 1, "success": None, "kept/1": 2.0} for line in LINES]
    score, memory = training(lines).axes
    assert score.get_ylabel() == "return, mean"
    np.testing.assert_array_equal(score.lines[0].get_ydata(), [0.4, 0.6, 0.9])
    labels = [text.get_text() for text in memory.get_legend().get_texts()]
    assert labels[1:] == ["held, layer 1", "held, layer 2"]


def test_what_an_agent_lacks_is_left_out() -> None:
    (*_, memory) = training([{"steps": 1000, "level": 1, "success": 1.0}]).axes
    assert [math.isnan(y) for y in memory.lines[0].get_ydata()] == [True]
    assert len(memory.lines) == 1
    assert curve(LINES, "nothing") == [pytest.approx(math.nan, nan_ok=True)] * 3
