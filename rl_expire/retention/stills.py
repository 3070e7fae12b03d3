"""Figures for papers of what an agent keeps, each as PNG and SVG.

Of an agent that keeps no memories one by one there is the heat map alone, of how much each thing
seen mattered when.

Needs Matplotlib (the extra `compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rl_expire.retention.arrays import (
    held_map,
    importance_map,
    lifetime_counts,
    lifetime_edges,
    lifetimes,
    mean_kept,
)
from rl_expire.retention.trace import Trace, is_flagged, kept_counts, relevant_steps
from rl_expire.runs.atomic import atomic_write

# Okabe and Ito's colours as in the videos, but with their darker blue: the ground is white.
RELEVANT, OTHER, DECIDES = "#E69F00", "#0072B2", "#F0E442"
FORGOTTEN, SEEN = "#E4E4E4", "#BBBBBB"

COLUMN = 3.4
"""Width of a figure in inches: a column of a paper."""

MOST_CELLS = 1000
"""Rows and columns of a heat map; of longer episodes k steps are one row, and one column."""

KINDS = ("png", "svg")

_STYLE: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    # Without these, every SVG would be another file.
    "svg.hashsalt": "rl_expire",
}
_DECISION_MARK: dict[str, Any] = {
    "marker": "v",
    "markersize": 4.5,
    "color": DECIDES,
    "markeredgecolor": "black",
    "markeredgewidth": 0.5,
}
_ACROSS = 2


def still_names() -> list[str]:
    """Return the names of all files that `write_stills` may write."""
    return [f"{name}.{kind}" for name in STILLS for kind in KINDS]


def write_stills(traces: Sequence[Trace], folder: Path) -> list[str]:
    """Draw every figure of `traces` into `folder`, which is made if it is not there.

    Each file is written whole or not at all.

    Returns:
        The names of the files written.

    Raises:
        ValueError: there is nothing to plot, or a file cannot be written.
    """
    import matplotlib as mpl

    if not traces:
        raise ValueError("--seeds is empty: give one or more")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be made ({error.strerror}): give another folder"
        ) from error
    figures = STILLS if traces[0].importance is None else {"heat_map": heat_map}
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        for name, draw in figures.items():
            figure = draw(traces)
            for kind in KINDS:
                _save(figure, folder / f"{name}.{kind}")
                written.append(f"{name}.{kind}")
    return written


def _save(figure: Any, path: Path) -> None:
    about = {"Date": None} if path.suffix == ".svg" else None
    with atomic_write(path, path.suffix) as temporary:
        figure.savefig(temporary, dpi=300, metadata=about)


def heat_map(traces: Sequence[Trace]) -> Any:
    """Draw how fully every memory of the first episode was held at every step.

    Of an agent that keeps no memories one by one: how much each thing seen mattered at every step.
    """
    trace = traces[0]
    held, every = trace.importance is None, -(-len(trace.steps) // MOST_CELLS)
    maps = [held_map(trace, n, every) for n in range(len(trace.steps[0].layers))]
    maps = maps if held else [importance_map(trace, every)]
    figure, panels = _panels(len(maps), COLUMN * 0.9)
    for shares, axes in zip(maps, panels, strict=True):
        _draw_map(axes, trace, shares, every)
    rows = "memory (step it was written at)" if held else "thing seen (step it was seen at)"
    panels[0].set_ylabel(rows if every == 1 else f"{rows}, {every} a row")
    panels[0].legend(handles=_map_legend(trace), loc="lower left")
    said = "how fully it is held (share)" if held else "importance for this decision (share)"
    _draw_scale(figure, panels, said)
    return figure


def _draw_map(axes: Any, trace: Trace, shares: npt.NDArray[np.float32], every: int) -> None:
    end = len(shares) * every - 0.5
    axes.imshow(heat_image(trace, shares, every), extent=(-0.5, end, end, -0.5))
    axes.set_xlabel("now (step of the episode)")
    axes.locator_params(nbins=5, integer=True)
    needed = np.flatnonzero(relevant_steps(trace))
    decides = [t for t, step in enumerate(trace.steps) if step.decision]
    # Outside the map, where they hide nothing; a row of a long episode is thinner than a hair.
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
    """Return the picture `[R, R, 3]` of `shares [R, R]`: orange where needed later, else blue.

    Each row is of `every` things seen; one that is needed makes it orange.
    """
    held = shares[..., None]
    starts = np.arange(0, len(trace.steps), every)
    needed = np.logical_or.reduceat(relevant_steps(trace), starts)
    colours = np.array([_rgb(RELEVANT) if r else _rgb(OTHER) for r in needed])
    forgotten = np.array(_rgb(FORGOTTEN))
    image = forgotten + np.nan_to_num(held) * (colours[:, None] - forgotten)
    return np.where(np.isnan(held), 255, np.round(image)).astype(np.uint8)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _map_legend(trace: Trace) -> list[Any]:
    """Return what the colours and marks mean, those that are there."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    flagged = is_flagged(trace)
    entries: list[Any] = [
        Patch(color=OTHER, label="other things seen" if flagged else "things seen"),
        Patch(color=FORGOTTEN, label="forgotten" if trace.importance is None else "not at all"),
    ]
    if relevant_steps(trace).any():
        entries.insert(0, Patch(color=RELEVANT, label="needed later"))
    if any(step.decision for step in trace.steps):
        entries.append(Line2D([], [], linestyle="none", label="decides now", **_DECISION_MARK))
    return entries


def _draw_scale(figure: Any, panels: list[Any], said: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap

    shades = ScalarMappable(cmap=LinearSegmentedColormap.from_list("held", [FORGOTTEN, OTHER]))
    bar = figure.colorbar(shades, ax=panels, fraction=0.04, pad=0.03, ticks=[0, 0.5, 1])
    bar.set_label(said)
    bar.outline.set_linewidth(0.6)


def spans(traces: Sequence[Trace]) -> Any:
    """Draw the lifetimes that memories were given, by kind of observation, all episodes pooled."""
    layers = len(traces[0].steps[0].layers)
    pooled = [lifetimes(traces, layer) for layer in range(layers)]
    edges = lifetime_edges(max(float(given.max()) for given, _ in pooled))
    figure, panels = _panels(layers, COLUMN * 0.65)
    for axes, (given, relevant) in zip(panels, pooled, strict=True):
        if any(map(is_flagged, traces)):
            _draw_bars(axes, edges, 0.0, given[~relevant], OTHER, "other things seen")
            _draw_bars(axes, edges, 0.5, given[relevant], RELEVANT, "needed later")
        else:
            _draw_bars(axes, edges, 0.25, given, OTHER, "things seen")
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
    """Draw one kind as half of each bar, `at` a share of its width, so that it hides no other."""
    if not len(given):
        return
    shares = 100 * lifetime_counts(given, edges) / len(given)
    ratio = edges[1:] / edges[:-1]
    left, right = edges[:-1] * ratio**at, edges[:-1] * ratio ** (at + 0.5)
    label = f"{name} ({len(given):,})"
    axes.bar(left, shares, right - left, align="edge", color=colour, label=label)


def _lifetime_axis(axes: Any, edges: npt.NDArray[np.float64]) -> None:
    """Make the axis logarithmic, with plain numbers; the first bar has all that is shorter."""
    from matplotlib import ticker

    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    # Within two decades the powers of ten alone would leave the axis bare.
    subs = (1.0, 2.0, 5.0) if edges[-1] < 100 else (1.0,)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(lambda x, _: "≤ 1" if x == 1 else f"{x:,.0f}")
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("lifetime given (steps)")


def kept(traces: Sequence[Trace]) -> Any:
    """Draw how many memories were kept at each step, beside how many had been seen."""
    figure, (axes,) = _panels(1, COLUMN * 0.65)
    layers, mean = len(traces[0].steps[0].layers), mean_kept(traces)
    # Wider and beneath: where all is kept, both lines are one, and both must be seen.
    seen = layers * (np.arange(len(mean)) + 1)
    axes.plot(seen, color=SEEN, linewidth=4, label="seen")
    label = "kept" if len(traces) == 1 else f"kept, mean of {len(traces)} episodes"
    axes.plot(mean, color=OTHER, linewidth=1.8, label=label)
    for n, trace in enumerate(traces if len(traces) > 1 else ()):
        counts = kept_counts(trace).sum(1)
        name = "each episode" if n == 0 else None
        axes.plot(counts, color=OTHER, linewidth=0.6, alpha=0.6, label=name)
    axes.set_xlim(0, max(1, len(mean) - 1))
    axes.set_ylim(0, None)
    axes.set_xlabel("step of the episode")
    axes.set_ylabel("memories" if layers == 1 else f"memories in {layers} layers")
    axes.legend(loc="upper left")
    return figure


def _panels(layers: int, height: float) -> tuple[Any, list[Any]]:
    """Return a figure with axes for each layer, each as wide as a column and `height` inches."""
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


STILLS: dict[str, Callable[[Sequence[Trace]], Any]] = {
    "heat_map": heat_map,
    "spans": spans,
    "kept": kept,
}
"""By the name of the file."""
