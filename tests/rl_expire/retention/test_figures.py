"""Figures for papers: what is drawn is the trace; every file is whole, or none is made."""

from __future__ import annotations

import os
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rl_expire.retention import figures
from rl_expire.retention.figure_data import held_map, importance_map, lifetimes
from rl_expire.retention.figures import (
    COLUMN,
    figure_names,
    heat_image,
    heat_map,
    kept,
    spans,
    write_figures,
)
from rl_expire.retention.trace import Trace, kept_counts
from tests.traces import random_trace, weighed_trace

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")

ORANGE, BLUE, GREY, WHITE = (230, 159, 0), (0, 114, 178), (228, 228, 228), (255, 255, 255)


def unflagged(trace: Trace) -> Trace:
    """The same episode where the environment says nothing."""
    steps = [replace(step, relevant=None, decision=None) for step in trace.steps]
    return replace(trace, steps=tuple(steps))


def words(figure: Any) -> set[str]:
    """The labels and the legend of a figure."""
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
    texts = [text.get_text() for legend in legends for text in legend.get_texts()]
    labels = [label for a in figure.axes for label in (a.get_xlabel(), a.get_ylabel())]
    return {*texts, *labels, *(a.get_title() for a in figure.axes)} - {""}


def test_every_figure_is_a_png_and_an_svg_as_wide_as_a_column(tmp_path: Path) -> None:
    folder = tmp_path / "figures" / "new"
    write_figures([random_trace(12), random_trace(8, seed=1)], folder)
    assert sorted(os.listdir(folder)) == sorted(figure_names())
    assert sorted(figure_names()) == [
        f"{name}.{kind}" for name in ("heat_map", "kept", "spans") for kind in ("png", "svg")
    ]
    for name in figure_names():
        if name.endswith(".png"):
            with Image.open(folder / name) as image:
                image.load()
                assert image.width == round(300 * COLUMN)
                assert image.convert("RGB").getpixel((0, 0)) == WHITE
        else:
            root = xml.etree.ElementTree.parse(folder / name).getroot()
            assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(72 * COLUMN)


def test_the_same_episodes_make_the_same_files_whatever_style_is_set(tmp_path: Path) -> None:
    import matplotlib as mpl

    traces = [random_trace(10)]
    write_figures(traces, tmp_path / "a")
    with mpl.rc_context({"font.size": 20, "figure.facecolor": "red"}):
        write_figures(traces, tmp_path / "b")
        assert mpl.rcParams["font.size"] == 20
    for name in figure_names():
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_colours_tell_what_is_held_how_fully_and_of_which_kind() -> None:
    trace = random_trace(30, layers=2, longest=10)
    for layer in (0, 1):
        held = held_map(trace, layer)
        image = heat_image(trace, held)
        assert image.shape == (30, 30, 3)
        for memory in range(30):
            for now in range(30):
                full = ORANGE if memory == 0 else BLUE
                share = held[memory, now]
                colour = [g + share * (c - g) for g, c in zip(GREY, full, strict=True)]
                expected = WHITE if memory > now else tuple(np.round(colour))
                assert tuple(image[memory, now]) == expected


def test_the_map_shows_the_first_episode_with_its_marks() -> None:
    first = random_trace(20, layers=3)
    figure = heat_map([first, random_trace(50, layers=3)])
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 3
    for layer, axes in enumerate(panels):
        np.testing.assert_array_equal(
            axes.images[0].get_array(), heat_image(first, held_map(first, layer))
        )
        needed, decides = axes.lines
        assert list(needed.get_ydata()) == [0]
        assert list(decides.get_xdata()) == [19]
    assert {"needed later", "other things seen", "forgotten", "decides now"} <= words(figure)
    assert {"now (step of the episode)", "memory (step it was written at)"} <= words(figure)
    assert {"layer 1", "layer 2", "layer 3", "how fully it is held (share)"} <= words(figure)


def test_the_map_of_a_long_episode_is_coarser_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MAX_CELLS", 10)
    trace = random_trace(35, longest=10)
    fine, coarse = held_map(trace, 0), held_map(trace, 0, 4)
    assert coarse.shape == (9, 9)
    for row in range(9):
        for column in range(9):
            cells = fine[4 * row : 4 * row + 4, 4 * column]
            assert coarse[row, column] == np.nanmax(cells) if row <= column else True
    assert np.isnan(coarse[np.tril_indices(9, -1)]).all()
    figure = heat_map([trace])
    (axes,) = [axes for axes in figure.axes if axes.images]
    assert axes.images[0].get_array().shape == (9, 9, 3)
    assert tuple(axes.images[0].get_array()[0, 0]) == ORANGE
    assert axes.images[0].get_extent() == [-0.5, 35.5, 35.5, -0.5]
    assert "memory (step it was written at), 4 a row" in words(figure)


def test_bars_are_shares_of_their_kind() -> None:
    traces = [random_trace(50, layers=2), random_trace(30, layers=2, seed=1)]
    figure = spans(traces)
    assert len(figure.axes) == 2
    for layer, axes in enumerate(figure.axes):
        assert axes.get_xscale() == "log"
        given, relevant = lifetimes(traces, layer)
        for bars, kind in zip(axes.containers, (given[~relevant], given[relevant]), strict=True):
            assert sum(bar.get_height() for bar in bars) == pytest.approx(100)
            for bar in bars:
                left, right = bar.get_x(), bar.get_x() + bar.get_width()
                # A bar of one kind is half of what it stands for: the other half is the other's.
                low = 10 ** (np.floor(6 * np.log10(left) + 1e-6) / 6)
                assert right / left == pytest.approx(10 ** (1 / 12))
                inside = (np.maximum(kind, 1) >= low) & (np.maximum(kind, 1) < low * 10 ** (1 / 6))
                assert bar.get_height() == pytest.approx(100 * inside.mean())
    assert {"other things seen (78)", "needed later (2)"} <= words(figure)
    assert {"lifetime given (steps)", "memories of each kind (%)", "layer 2"} <= words(figure)


def test_the_kept_curve_lies_beside_what_had_been_seen() -> None:
    traces = [random_trace(20, layers=2, longest=5), random_trace(11, layers=2, seed=1)]
    figure = kept(traces)
    seen, mean, *each = figure.axes[0].lines
    assert list(seen.get_ydata()) == list(range(2, 41, 2))
    totals = [kept_counts(trace).sum(1) for trace in traces]
    assert list(mean.get_ydata()[:11]) == list((totals[0][:11] + totals[1]) / 2)
    assert list(mean.get_ydata()[11:]) == list(totals[0][11:])
    assert [list(line.get_ydata()) for line in each] == [list(total) for total in totals]
    assert {"seen", "kept, mean of 2 episodes", "each episode"} <= words(figure)
    assert {"step of the episode", "memories in 2 layers"} <= words(figure)


def test_one_episode_has_no_mean_and_a_silent_environment_no_kinds() -> None:
    traces = [unflagged(random_trace(1))]
    assert words(kept(traces)) == {"seen", "kept", "step of the episode", "memories"}
    assert "things seen (1)" in words(spans(traces))
    said = words(heat_map(traces))
    assert "things seen" in said
    assert not {"needed later", "other things seen", "decides now"} & said


def test_texts_change_nothing(tmp_path: Path) -> None:
    for name, texts in (("with", ["a bell rings .", "you walk on ."]), ("without", None)):
        write_figures([random_trace(6, texts=texts)], tmp_path / name)
    for name in figure_names():
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


def test_without_memories_the_map_is_of_what_mattered_and_there_is_nothing_else(
    tmp_path: Path,
) -> None:
    trace = weighed_trace(20, every=3)
    assert write_figures([trace, weighed_trace(5)], tmp_path) == ["heat_map.png", "heat_map.svg"]
    assert sorted(os.listdir(tmp_path)) == ["heat_map.png", "heat_map.svg"]
    figure = heat_map([trace])
    (axes,) = [axes for axes in figure.axes if axes.images]
    matters = importance_map(trace)
    np.testing.assert_array_equal(axes.images[0].get_array(), heat_image(trace, matters))
    assert {"importance for this decision (share)", "needed later", "not at all"} <= words(figure)
    assert not {"forgotten", "memory (step it was written at)"} & words(figure)


def test_the_map_of_what_mattered_is_the_importance_step_by_step() -> None:
    trace = weighed_trace(20, every=3)
    matters = importance_map(trace)
    assert trace.importance is not None
    for now in range(20):
        assert np.isnan(matters[now + 1 :, now]).all()
        for step in range(now + 1):
            assert matters[step, now] == trace.importance.shares[now][step // 3]
    with pytest.raises(ValueError, match="keeps memories one by one"):
        importance_map(random_trace(3))


def test_nothing_to_plot_is_one_line_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--seeds is empty: give one or more"):
        write_figures([], tmp_path / "figures")
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "figures"):
        with pytest.raises(ValueError, match=r"cannot be made \(.*\): give another folder"):
            write_figures([random_trace(3)], folder)


def test_a_failure_on_the_way_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heat_map.png").write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match=r"cannot be written \(No space left on device\)"):
        write_figures([random_trace(3)], tmp_path)
    assert os.listdir(tmp_path) == ["heat_map.png"]
    assert (tmp_path / "heat_map.png").read_bytes() == b"old"
