"""The plots of a comparison, each as PNG and SVG. Needs Matplotlib (the extra `compare`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.comparison.record import Record
from experiments.comparison.table import SCORED_BY

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#8C8C00")
"""The palette of Okabe and Ito, safe for colour-blind readers, with olive for its yellow."""
MARKERS = "osD^vP*X"
LEVELS = {
    "max length": "corridor length (columns)",
    "max distance": "sentences from hearing to doing",
}
"""Axis labels for levels, by the option that sets them; others are labelled by the option."""

Groups = dict[str, list[Record]]
"""The records of each variant."""
Styles = dict[str, dict[str, Any]]
"""Colour and marker of each variant."""


def plot_all(
    out: Path,
    records: list[Record],
    names: Sequence[str] = (),
    suffixes: Sequence[str] = ("png", "svg"),
) -> None:
    """Draw the plots called `names`, or all, into the folder `out`, one file for each suffix."""
    plt = load_pyplot()
    variants = list(dict.fromkeys(record["variant"] for record in records))
    styles = styles_of(variants)
    groups = {v: [record for record in records if record["variant"] == v] for v in variants}
    for name in names or PLOTS:
        figure = PLOTS[name](plt, groups, styles)
        for suffix in suffixes:
            about = {"Date": None} if suffix == "svg" else {}
            path = out / f"{name}.{suffix}"
            figure.savefig(path, dpi=150, bbox_inches="tight", metadata=about)
        plt.close(figure)


def load_pyplot() -> Any:
    """Return `matplotlib.pyplot`, which is slow to import, set up to draw into files."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 11, "axes.grid": True, "grid.alpha": 0.3})
    plt.rcParams.update({"svg.hashsalt": "rl_expire"})  # equal numbers, equal files
    return plt


def styles_of(variants: Sequence[str]) -> Styles:
    """Return a colour and a marker for each variant."""
    return {
        variant: {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)]}
        for n, variant in enumerate(variants)
    }


def learning_curves(plt: Any, groups: Groups, styles: Styles) -> Any:
    """Draw level, score there and memories held over environment steps.

    Thin lines are seeds, bold ones their means.
    """
    figure, axes = plt.subplots(1, 3, figsize=(18, 4.5), layout="constrained")
    labels = (f"reached: {level_label(groups)}", f"{score_label(groups)} there", "memories held")
    for axes_of_key, key, label in zip(axes, ("level", "score", "held"), labels, strict=True):
        for variant, records in groups.items():
            colour = styles[variant]["color"]
            curves = [curve_of(record, key) for record in records]
            for steps, values in curves:
                axes_of_key.plot(steps, values, color=colour, linewidth=0.8, alpha=0.35)
            axes_of_key.plot(*mean_curve(curves), color=colour, linewidth=2.2, label=variant)
        axes_of_key.set_xlabel("environment steps (millions)")
        axes_of_key.set_ylabel(label)
    set_log_scale(axes[0], "y")
    set_log_scale(axes[2], "y")
    axes[1].set_ylim(-0.03, 1.05)
    add_legend(axes[-1])
    return figure


def curve_of(record: Record, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return millions of steps and values of a learning curve, where there is a value."""
    points = [(p["steps"] / 1e6, p[key]) for p in record["curve"] if p.get(key) is not None]
    steps, values = np.array(points, dtype=float).reshape(-1, 2).T
    return steps, values


def mean_curve(curves: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of several curves; those that end early keep their last value."""
    curves = [curve for curve in curves if len(curve[0])]
    if not curves:
        return np.zeros(0), np.zeros(0)
    first, last = max(steps[0] for steps, _ in curves), max(steps[-1] for steps, _ in curves)
    grid = np.linspace(first, last, 400)
    return grid, np.mean([np.interp(grid, *curve) for curve in curves], axis=0)


def score_against_memory(plt: Any, groups: Groups, styles: Styles) -> Any:
    """Draw the score at the hardest level over the memories held there, as in the paper."""
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    for variant, records in groups.items():
        score = [r["results"][f"eval.{r['measure']}_at_hardest"] for r in records]
        held = [sum(r["results"]["eval.kept_at_decision_per_layer"]) for r in records]
        style = styles[variant]
        if any(held):
            axes.plot(held, score, linestyle="none", markersize=9, label=variant, **style)
        else:
            label = f"{variant} (one state)"
            axes.axhline(np.mean(score), color=style["color"], linestyle="--", label=label)
    set_log_scale(axes, "x")
    axes.set_xlabel("memories held at the decision, all layers")
    first = first_record(groups)
    axes.set_ylabel(f"{score_label(groups)} at {first['level_name']} {first['goal']}")
    axes.set_ylim(-0.03, 1.05)
    add_legend(axes)
    return figure


def score_against_length(plt: Any, groups: Groups, styles: Styles) -> Any:
    """Draw the score over the level, beyond the levels of training too."""
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    first = first_record(groups)
    plot_over_levels(axes, groups, styles, first["measure"])
    axes.axvline(first["goal"], color="grey", linestyle=":", label="hardest trained on")
    axes.set_ylabel(score_label(groups))
    axes.set_ylim(-0.03, 1.05)
    add_legend(axes)
    return figure


def speed_and_bytes(plt: Any, groups: Groups, styles: Styles) -> Any:
    """Draw acting speed and bytes held over the level."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    plot_over_levels(axes[0], groups, styles, "acting_steps_per_second")
    plot_over_levels(axes[1], groups, styles, "bytes_held")
    axes[0].set_ylabel("acting speed (steps/s, one thread)")
    axes[1].set_ylabel("memory of one environment (bytes)")
    for one in axes:
        set_log_scale(one, "y")
    add_legend(axes[-1])
    return figure


PLOTS: dict[str, Callable[[Any, Groups, Styles], Any]] = {
    "learning_curves": learning_curves,
    "score_against_memory": score_against_memory,
    "score_against_length": score_against_length,
    "speed_and_bytes": speed_and_bytes,
}
"""Functions that draw a figure, by the name of its files."""


def plot_over_levels(axes: Any, groups: Groups, styles: Styles, key: str) -> None:
    """Plot one number of the scores by level: means over the seeds that have the level."""
    for variant, records in groups.items():
        values: dict[int, list[float]] = {}
        for row in (row for record in records for row in record["levels"]):
            value = row[key]
            values.setdefault(row["level"], []).append(np.nan if value is None else value)
        levels = sorted(values)
        means = [np.mean(values[level]) for level in levels]
        axes.plot(levels, means, label=variant, **styles[variant])
    set_log_scale(axes, "x")
    axes.set_xlabel(level_label(groups))


def set_log_scale(axes: Any, name: str) -> None:
    """Make the axis `name`, x or y, logarithmic, with tick labels such as 1,000."""
    from matplotlib import ticker

    getattr(axes, f"set_{name}scale")("log")
    axis = getattr(axes, f"{name}axis")
    low, high = axis.get_data_interval()
    # A range of about one decade has too few powers of ten to be read by.
    steps = (1.0, 2.0, 5.0) if high < 30 * low else (1.0,)
    axis.set_major_locator(ticker.LogLocator(subs=steps))
    axis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axis.set_minor_formatter(lambda x, _: "")


def add_legend(axes: Any) -> None:
    """Add the legend to the right of the axes, where it covers no data."""
    axes.legend(fontsize=10, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)


def level_label(groups: Groups) -> str:
    """Return the label of an axis of levels."""
    name: str = first_record(groups)["level_name"]
    return LEVELS.get(name, name)


def score_label(groups: Groups) -> str:
    """Return the label of an axis of scores."""
    return SCORED_BY[first_record(groups)["measure"]]


def first_record(groups: Groups) -> Record:
    """Return a record of the comparison, for what all runs have in common."""
    return next(iter(groups.values()))[0]
