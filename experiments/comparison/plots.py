"""The plots of a comparison, each as PNG and SVG. Needs Matplotlib (the extra `compare`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.comparison.table import SCORED_BY

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#8C8C00")
"""Okabe and Ito's palette, which colour-blind people can tell apart (the last one is ours)."""
MARKERS = "osD^vP*X"
LEVELS = {
    "max length": "corridor length (columns)",
    "max distance": "sentences from hearing to doing",
}
"""What levels are, by the option that sets them."""

Cells = list[dict[str, Any]]


def plot_all(out: Path, cells: Cells) -> None:
    """Draw every plot of `cells`, one dictionary a run, into the folder `out`."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 11, "axes.grid": True, "grid.alpha": 0.3})
    variants = list(dict.fromkeys(c["variant"] for c in cells))
    style = {
        v: {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)]}
        for n, v in enumerate(variants)
    }
    groups = {v: [c for c in cells if c["variant"] == v] for v in variants}
    for name, draw in PLOTS.items():
        figure = draw(plt, groups, style)
        for kind in ("png", "svg"):
            figure.savefig(out / f"{name}.{kind}", dpi=150, bbox_inches="tight")
        plt.close(figure)


def learning_curves(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Level reached and score there, against environment steps: the mean, and each seed thin."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    for axis, key, title in zip(
        axes,
        ("level", "score"),
        (f"reached: {_level(groups)}", f"{_score(groups)} there"),
        strict=True,
    ):
        for variant, cells in groups.items():
            colour = style[variant]["color"]
            curves = [_curve(c, key) for c in cells]
            for steps, values in curves:
                axis.plot(steps, values, color=colour, linewidth=0.8, alpha=0.35)
            axis.plot(*_mean_curve(curves), color=colour, linewidth=2.2, label=variant)
        axis.set_xlabel("environment steps (millions)")
        axis.set_ylabel(title)
    _plain_log(axes[0], "y")
    axes[1].set_ylim(-0.03, 1.05)
    _legend(axes[-1])
    return figure


def _curve(cell: dict[str, Any], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps in millions and values of one run, where there are any."""
    points = [(p["steps"] / 1e6, p[key]) for p in cell["curve"] if p[key] is not None]
    steps, values = np.array(points, dtype=float).reshape(-1, 2).T
    return steps, values


def _mean_curve(curves: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds; a run that ended sooner counts on with its last value."""
    curves = [c for c in curves if len(c[0])]
    if not curves:
        return np.zeros(0), np.zeros(0)
    first, last = max(steps[0] for steps, _ in curves), max(steps[-1] for steps, _ in curves)
    grid = np.linspace(first, last, 400)
    return grid, np.mean([np.interp(grid, *curve) for curve in curves], axis=0)


def score_against_memory(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Score at the hardest level against memories held there (the paper's figure)."""
    figure, axis = plt.subplots(figsize=(8.5, 5), layout="constrained")
    for variant, cells in groups.items():
        score = [c["results"][f"eval.{c['measure']}_at_hardest"] for c in cells]
        held = [sum(c["results"]["eval.kept_at_decision_per_layer"]) for c in cells]
        if any(held):
            axis.plot(held, score, linestyle="none", markersize=9, label=variant, **style[variant])
        else:
            mean, colour = float(np.mean(score)), style[variant]["color"]
            axis.axhline(mean, color=colour, linestyle="--", label=f"{variant} (one state)")
    _plain_log(axis, "x")
    axis.set_xlabel("memories held at the decision, all layers")
    axis.set_ylabel(f"{_score(groups)} at {_goal(groups)}")
    axis.set_ylim(-0.03, 1.05)
    _legend(axis)
    return figure


def score_against_length(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Score level by level, those beyond training included."""
    figure, axis = plt.subplots(figsize=(8.5, 5), layout="constrained")
    _against_level(axis, groups, style, lambda row: row[_first(groups)["measure"]])
    goal = _first(groups)["goal"]
    axis.axvline(goal, color="grey", linestyle=":", label="hardest trained on")
    axis.set_ylabel(_score(groups))
    axis.set_ylim(-0.03, 1.05)
    _legend(axis)
    return figure


def speed_and_bytes(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Acting speed and bytes held, level by level."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    _against_level(axes[0], groups, style, lambda row: row["acting_steps_per_second"])
    _against_level(axes[1], groups, style, lambda row: row["bytes_held"])
    axes[0].set_ylabel("acting speed (steps/s, one thread)")
    axes[1].set_ylabel("memory of one environment (bytes)")
    for axis in axes:
        _plain_log(axis, "y")
    _legend(axes[-1])
    return figure


def _against_level(
    axis: Any,
    groups: dict[str, Cells],
    style: dict[str, Any],
    pick: Callable[[dict[str, Any]], float | None],
) -> None:
    """Draw means over the seeds; older runs may have been scored at more levels than others."""
    for variant, cells in groups.items():
        values: dict[int, list[float]] = {}
        for row in (row for c in cells for row in c["levels"]):
            picked = pick(row)
            values.setdefault(row["level"], []).append(np.nan if picked is None else picked)
        levels = sorted(values)
        axis.plot(levels, [np.mean(values[n]) for n in levels], label=variant, **style[variant])
    _plain_log(axis, "x")
    axis.set_xlabel(_level(groups))


def _plain_log(axes: Any, which: str) -> None:
    """Make the axis `which`, x or y, logarithmic, with numbers written out as 1,000."""
    from matplotlib import ticker

    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = axis.get_data_interval()
    # Within less than a decade or so the powers of ten alone would leave the axis bare.
    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if high < 30 * low else (1.0,)))
    axis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axis.set_minor_formatter(lambda x, _: "")


def _legend(axis: Any) -> None:
    """Name the variants beside the plot, where they cover nothing."""
    axis.legend(fontsize=10, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)


def _level(groups: dict[str, Cells]) -> str:
    """Return what the levels are, with their unit where it is known."""
    name: str = _first(groups)["level_name"]
    return LEVELS.get(name) or name


def _score(groups: dict[str, Cells]) -> str:
    """Return what the score is."""
    return SCORED_BY[_first(groups)["measure"]]


def _first(groups: dict[str, Cells]) -> dict[str, Any]:
    return next(iter(groups.values()))[0]


def _goal(groups: dict[str, Cells]) -> str:
    first = _first(groups)
    return f"{first['level_name'].replace('_', ' ')} {first['goal']}"


def formats() -> Iterable[str]:
    """Return the names of all files that `plot_all` writes."""
    return [f"{name}.{kind}" for name in PLOTS for kind in ("png", "svg")]


PLOTS = {
    "learning_curves": learning_curves,
    "score_against_memory": score_against_memory,
    "score_against_length": score_against_length,
    "speed_and_bytes": speed_and_bytes,
}
