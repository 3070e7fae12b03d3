"""Figures match the trace, and their files are written completely or not at all."""

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
    """Return the same episode without the flags of the environment."""
    steps = [replace(step, relevant=None, decision=None) for step in trace.steps]
    return replace(trace, steps=tuple(steps))


def words(figure: Any) -> set[str]:
    """Return the labels and legend entries of a figure."""
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
    texts = [text.get_text() for legend in legends for text in legend.get_texts()]
    labels = [label for a in figure.axes for label in (a.get_xlabel(), a.get_ylabel())]
    return {*texts, *labels, *(a.get_title() for a in figure.axes)} - {""}


LINES = [
    {"steps": 1000 * n, "level": 2**n, "success": n / 5, "kept/0": 9 - n, "kept/1": 1, "seen": n}
    for n in range(1, 5)
]


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the figures of one episode once for this module."""
    folder = tmp_path_factory.mktemp("figures") / "new" / "folder"
    write_figures([random_trace(10)], folder, LINES)
    return folder


def test_every_figure_is_a_png_and_an_svg_as_wide_as_a_column(folder: Path) -> None:
    assert sorted(os.listdir(folder)) == sorted(figure_names())
    assert sorted(figure_names()) == [
        f"{name}.{kind}"
        for name in ("heat_map", "kept", "spans", "training")
        for kind in ("png", "svg")
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


def test_files_depend_neither_on_the_global_style_nor_on_texts(
    folder: Path, tmp_path: Path
) -> None:
    import matplotlib as mpl

    traces = [random_trace(10, texts=["a bell rings .", "you walk on ."])]
    with mpl.rc_context({"font.size": 20, "figure.facecolor": "red"}):
        write_figures(traces, tmp_path, LINES)
        assert mpl.rcParams["font.size"] == 20
    for name in figure_names():
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


def test_colours_show_the_mask_and_the_kind_of_each_memory() -> None:
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


def test_the_heat_map_shows_the_first_episode_with_its_marks() -> None:
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
    assert {"needed later", "other observations", "forgotten", "decision"} <= words(figure)
    assert {"current step", "memory (step written)"} <= words(figure)
    assert {"layer 1", "layer 2", "layer 3", "mask (1: fully held)"} <= words(figure)


def test_the_heat_map_of_a_long_episode_has_several_steps_per_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    assert "memory (step written), 4 per row" in words(figure)


def test_the_histogram_shows_percentages_of_each_kind() -> None:
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
                # Each bar takes half of its bin: the other half belongs to the other kind.
                low = 10 ** (np.floor(6 * np.log10(left) + 1e-6) / 6)
                assert right / left == pytest.approx(10 ** (1 / 12))
                inside = (np.maximum(kind, 1) >= low) & (np.maximum(kind, 1) < low * 10 ** (1 / 6))
                assert bar.get_height() == pytest.approx(100 * inside.mean())
    assert {"other observations (78)", "needed later (2)"} <= words(figure)
    assert {"lifetime (steps)", "memories of each kind (%)", "layer 2"} <= words(figure)


def test_memories_kept_are_drawn_beside_memories_written() -> None:
    traces = [random_trace(20, layers=2, longest=5), random_trace(11, layers=2, seed=1)]
    figure = kept(traces)
    written, mean, *each = figure.axes[0].lines
    assert list(written.get_ydata()) == list(range(2, 41, 2))
    totals = [kept_counts(trace).sum(1) for trace in traces]
    assert list(mean.get_ydata()[:11]) == list((totals[0][:11] + totals[1]) / 2)
    assert list(mean.get_ydata()[11:]) == list(totals[0][11:])
    assert [list(line.get_ydata()) for line in each] == [list(total) for total in totals]
    assert {"written", "kept, mean of 2 episodes", "each episode"} <= words(figure)
    assert {"step", "memories in 2 layers"} <= words(figure)


def test_one_episode_has_no_mean_and_an_environment_without_flags_no_kinds() -> None:
    traces = [unflagged(random_trace(1))]
    assert words(kept(traces)) == {"written", "kept", "step", "memories"}
    assert "observations (1)" in words(spans(traces))
    labels = words(heat_map(traces))
    assert "observations" in labels
    assert not {"needed later", "other observations", "decision"} & labels


def test_without_memories_there_is_only_a_heat_map_of_importance(
    tmp_path: Path,
) -> None:
    trace = weighed_trace(20, every=3)
    assert write_figures([trace, weighed_trace(5)], tmp_path) == ["heat_map.png", "heat_map.svg"]
    assert sorted(os.listdir(tmp_path)) == ["heat_map.png", "heat_map.svg"]
    figure = heat_map([trace])
    (axes,) = [axes for axes in figure.axes if axes.images]
    importance = importance_map(trace)
    np.testing.assert_array_equal(axes.images[0].get_array(), heat_image(trace, importance))
    assert {"importance for the current action", "needed later", "no importance"} <= words(figure)
    assert not {"forgotten", "memory (step written)"} & words(figure)


def test_the_importance_map_holds_the_importance_at_every_step() -> None:
    trace = weighed_trace(20, every=3)
    importance = importance_map(trace)
    assert trace.importance is not None
    for now in range(20):
        assert np.isnan(importance[now + 1 :, now]).all()
        for step in range(now + 1):
            assert importance[step, now] == trace.importance.shares[now][step // 3]
    with pytest.raises(ValueError, match="use held_map"):
        importance_map(random_trace(3))


def test_no_traces_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="traces is empty: give one or more"):
        write_figures([], tmp_path / "figures")
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "figures"):
        with pytest.raises(ValueError, match=r"cannot be created \(.*\): choose another folder"):
            write_figures([random_trace(3)], folder)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
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
