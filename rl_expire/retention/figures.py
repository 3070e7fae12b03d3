"""Figures for papers, each as PNG and SVG: what is held when, lifetimes, memories kept, training.

For an agent without per-step memories there is only the heat map, of importance.

Requires Matplotlib (the extra `compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rl_expire.memory.horizon import FOR_GOOD
from rl_expire.retention.figure_data import (
    held_map,
    importance_map,
    lifetime_counts,
    lifetime_edges,
    lifetimes,
    mean_kept,
)
from rl_expire.retention.figure_style import (
    COLUMN,
    DECISION,
    FORGOTTEN,
    OTHER,
    RELEVANT,
    STYLE,
    WRITTEN,
)
from rl_expire.retention.trace import Trace, is_flagged, kept_counts, relevant_steps
from rl_expire.retention.training_figure import training
from rl_expire.runs.atomic import atomic_write

MAX_CELLS = 1000
"""Maximum rows and columns of a heat map; in longer episodes, k steps share a row and column."""

KINDS = ("png", "svg")

_DECISION_MARK: dict[str, Any] = {
    "marker": "v",
    "markersize": 4.5,
    "color": DECISION,
    "markeredgecolor": "black",
    "markeredgewidth": 0.5,
}
_ACROSS = 2


def figure_names() -> list[str]:
    """Return the names of all files that `write_figures` may write."""
    return [f"{name}.{kind}" for name in (*FIGURES, TRAINING) for kind in KINDS]


def write_figures(
    traces: Sequence[Trace], folder: Path, metrics: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Draw every figure and save it in `folder`, which is created if necessary.

    Each file is written atomically.

    Args:
        traces: Episodes, at least one.
        folder: Where the files go.
        metrics: Lines of the run's `metrics.jsonl`; without any, training is not drawn.

    Returns:
        The names of the files written.

    Raises:
        ValueError: `traces` is empty, or a file cannot be written.
    """
    import matplotlib as mpl

    if not traces:
        raise ValueError("traces is empty: give one or more")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be created ({error.strerror}): choose another folder"
        ) from error
    figures = FIGURES if traces[0].importance is None else {"heat_map": heat_map}
    drawings = {name: partial(draw, traces) for name, draw in figures.items()}
    if metrics:
        drawings[TRAINING] = partial(training, metrics)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, draw in drawings.items():
            figure = draw()
            for kind in KINDS:
                _save(figure, folder / f"{name}.{kind}")
                written.append(f"{name}.{kind}")
    return written


def _save(figure: Any, path: Path) -> None:
    """Save a figure atomically, without the date."""
    about = {"Date": None} if path.suffix == ".svg" else None
    with atomic_write(path, path.suffix) as temporary:
        figure.savefig(temporary, dpi=300, metadata=about)


def heat_map(traces: Sequence[Trace]) -> Any:
    """Draw the mask of every memory of the first episode at every step.

    For an agent without per-step memories, draw the importance of observations instead.
    """
    trace = traces[0]
    has_memories, every = trace.importance is None, -(-len(trace.steps) // MAX_CELLS)
    maps = [held_map(trace, n, every) for n in range(len(trace.steps[0].layers))]
    maps = maps if has_memories else [importance_map(trace, every)]
    figure, panels = _panels(len(maps), COLUMN * 0.9)
    for shares, axes in zip(maps, panels, strict=True):
        _draw_map(axes, trace, shares, every)
    rows = "memory (step written)" if has_memories else "observation (step)"
    panels[0].set_ylabel(rows if every == 1 else f"{rows}, {every} per row")
    panels[0].legend(handles=_map_legend(trace), loc="lower left")
    label = "mask (1: fully held)" if has_memories else "importance for the current action"
    _draw_scale(figure, panels, label)
    return figure


def _draw_map(axes: Any, trace: Trace, shares: npt.NDArray[np.float32], every: int) -> None:
    """Draw a heat map, with marks at relevant observations and at decisions."""
    end = len(shares) * every - 0.5
    axes.imshow(heat_image(trace, shares, every), extent=(-0.5, end, end, -0.5))
    axes.set_xlabel("current step")
    axes.locator_params(nbins=5, integer=True)
    needed = np.flatnonzero(relevant_steps(trace))
    decides = [t for t, step in enumerate(trace.steps) if step.decision]
    # Outside the map, where they hide nothing: in a long episode a row is very thin.
    axes.plot(
        np.full(len(needed), -0.025),
        needed,
        ">",
        color=RELEVANT,
        markersize=4,
        transform=axes.get_yaxis_transform(),
        clip_on=False,
    )
    axes.plot(
        decides,
        np.full(len(decides), 1.025),
        linestyle="none",
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        **_DECISION_MARK,
    )


def heat_image(
    trace: Trace, shares: npt.NDArray[np.float32], every: int = 1
) -> npt.NDArray[np.uint8]:
    """Return the image `[R, R, 3]` of `shares [R, R]`.

    Rows with an observation that is needed later are orange, others blue.

    Args:
        trace: The episode.
        shares: Masks or importance, in [0, 1] or NaN.
        every: Number of observations in a row.
    """
    held = shares[..., None]
    starts = np.arange(0, len(trace.steps), every)
    needed = np.logical_or.reduceat(relevant_steps(trace), starts)
    colours = np.array([_rgb(RELEVANT) if r else _rgb(OTHER) for r in needed])
    forgotten = np.array(_rgb(FORGOTTEN))
    image = forgotten + np.nan_to_num(held) * (colours[:, None] - forgotten)
    return np.where(np.isnan(held), 255, np.round(image)).astype(np.uint8)


def _rgb(colour: str) -> tuple[int, ...]:
    """Return a hexadecimal colour as 0 to 255 each."""
    return tuple(bytes.fromhex(colour[1:]))


def _map_legend(trace: Trace) -> list[Any]:
    """Return legend entries for the colours and marks that occur."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    flagged = is_flagged(trace)
    entries: list[Any] = [
        Patch(color=OTHER, label="other observations" if flagged else "observations"),
        Patch(color=FORGOTTEN, label="forgotten" if trace.importance is None else "no importance"),
    ]
    if relevant_steps(trace).any():
        entries.insert(0, Patch(color=RELEVANT, label="needed later"))
    if any(step.decision for step in trace.steps):
        entries.append(Line2D([], [], linestyle="none", label="decision", **_DECISION_MARK))
    return entries


def _draw_scale(figure: Any, panels: list[Any], label: str) -> None:
    """Draw the colour bar beside the panels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap

    shades = ScalarMappable(cmap=LinearSegmentedColormap.from_list("held", [FORGOTTEN, OTHER]))
    bar = figure.colorbar(shades, ax=panels, fraction=0.04, pad=0.03, ticks=[0, 0.5, 1])
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)


def spans(traces: Sequence[Trace]) -> Any:
    """Draw a histogram of lifetimes by kind of observation, all episodes pooled."""
    layers = len(traces[0].steps[0].layers)
    pooled = [lifetimes(traces, layer) for layer in range(layers)]
    edges = lifetime_edges(max(float(given.max()) for given, _ in pooled))
    figure, panels = _panels(layers, COLUMN * 0.65)
    for axes, (given, relevant) in zip(panels, pooled, strict=True):
        if any(map(is_flagged, traces)):
            _draw_bars(axes, edges, 0.0, given[~relevant], OTHER, "other observations")
            _draw_bars(axes, edges, 0.5, given[relevant], RELEVANT, "needed later")
        else:
            _draw_bars(axes, edges, 0.25, given, OTHER, "observations")
        axes.set_ylim(0, 100)
        _lifetime_axis(axes, edges)
    panels[0].set_ylabel("memories of each kind (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _draw_bars(
    axes: Any,
    edges: npt.NDArray[np.float64],
    at: float,
    given: npt.NDArray[np.float32],
    colour: str,
    name: str,
) -> None:
    """Draw the histogram of one kind of observation.

    Each bar takes half of its bin, so that two kinds fit side by side.

    Args:
        axes: Draws on the figure.
        edges: Bin edges `[B + 1]`.
        at: Left end of the bars, as a share of the bin.
        given: Lifetimes `[K]`.
        colour: Colour of the bars.
        name: Kind of observation, for the legend.
    """
    if not len(given):
        return
    shares = 100 * lifetime_counts(given, edges) / len(given)
    ratio = edges[1:] / edges[:-1]
    left, right = edges[:-1] * ratio**at, edges[:-1] * ratio ** (at + 0.5)
    label = f"{name} ({len(given):,})"
    axes.bar(left, shares, right - left, align="edge", color=colour, label=label)


def _lifetime_axis(axes: Any, edges: npt.NDArray[np.float64]) -> None:
    """Make the horizontal axis logarithmic, with plain numbers."""
    from matplotlib import ticker

    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    # Powers of ten alone would leave an axis of less than two decades bare.
    subs = (1.0, 2.0, 5.0) if edges[-1] < 100 else (1.0,)
    base = 10.0 if edges[-1] < 1e5 else 100.0  # more numbers would not fit
    axes.xaxis.set_major_locator(ticker.LogLocator(base, subs=subs))
    most = {1: "≤ 1", FOR_GOOD: "for good"}
    axes.xaxis.set_major_formatter(lambda x, _: most.get(x, f"{x:,.0f}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("lifetime (steps)")


def kept(traces: Sequence[Trace]) -> Any:
    """Draw how many memories were kept at each step, beside how many had been written."""
    figure, (axes,) = _panels(1, COLUMN * 0.65)
    layers, mean = len(traces[0].steps[0].layers), mean_kept(traces)
    # Wider and below the other line, so that both are visible where everything is kept.
    written = layers * (np.arange(len(mean)) + 1)
    axes.plot(written, color=WRITTEN, linewidth=4, label="written")
    label = "kept" if len(traces) == 1 else f"kept, mean of {len(traces)} episodes"
    axes.plot(mean, color=OTHER, linewidth=1.8, label=label)
    for n, trace in enumerate(traces if len(traces) > 1 else ()):
        counts = kept_counts(trace).sum(1)
        name = "each episode" if n == 0 else None
        axes.plot(counts, color=OTHER, linewidth=0.6, alpha=0.6, label=name)
    axes.set_xlim(0, max(1, len(mean) - 1))
    axes.set_ylim(0, None)
    axes.set_xlabel("step")
    axes.set_ylabel("memories" if layers == 1 else f"memories in {layers} layers")
    axes.legend(loc="upper left")
    return figure


def _panels(layers: int, height: float) -> tuple[Any, list[Any]]:
    """Return a figure with axes for each layer, each a column wide and `height` inches high."""
    from matplotlib.figure import Figure

    across = min(layers, _ACROSS)
    down = -(-layers // across)
    figure = Figure(figsize=(COLUMN * across, height * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    panels = list(grid.flat)
    for spare in panels[layers:]:
        spare.remove()
    if layers > 1:
        for layer, axes in enumerate(panels[:layers]):
            axes.set_title(f"layer {layer + 1}", fontsize=8)
    return figure, panels[:layers]


FIGURES: dict[str, Callable[[Sequence[Trace]], Any]] = {
    "heat_map": heat_map,
    "spans": spans,
    "kept": kept,
}
"""Figures of episodes by file name."""
TRAINING = "training"
"""File name of the figure of training."""
