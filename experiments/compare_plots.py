"""The plots of a comparison, each as PNG and SVG. Needs Matplotlib (the extra `compare`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#8C8C00")
"""Okabe and Ito's palette, which colour-blind people can tell apart (the last one is ours)."""
MARKERS = "osD^vP*X"

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
    """Level reached and success at it, against environment steps."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5))
    level_name = _first(groups)["level_name"].replace("_", " ")
    for axis, key, title in zip(
        axes, ("level", "success"), (f"{level_name} trained at", "success there"), strict=True
    ):
        for variant, cells in groups.items():
            colour = style[variant]["color"]
            for n, c in enumerate(cells):
                steps = [p["steps"] / 1e6 for p in c["curve"]]
                values = [np.nan if p[key] is None else p[key] for p in c["curve"]]
                label = variant if n == 0 else None
                axis.plot(steps, values, color=colour, linewidth=1.2, alpha=0.8, label=label)
        axis.set_xlabel("environment steps (millions)")
        axis.set_ylabel(title)
    axes[0].set_yscale("log")
    axes[0].legend(fontsize=9)
    return figure


def score_against_memory(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Success at the hardest level against memories held there (the paper's figure)."""
    figure, axis = plt.subplots(figsize=(7.5, 5))
    for variant, cells in groups.items():
        success = [c["results"]["eval.success_at_max_length"] for c in cells]
        held = [sum(c["results"]["eval.kept_at_decision_per_layer"]) for c in cells]
        if any(held):
            axis.plot(
                held, success, linestyle="none", markersize=9, label=variant, **style[variant]
            )
        else:
            mean, colour = float(np.mean(success)), style[variant]["color"]
            axis.axhline(mean, color=colour, linestyle="--", label=f"{variant} (one state)")
    axis.set_xscale("log")
    axis.set_xlabel("memories held at the decision, all layers")
    axis.set_ylabel(f"success at {_goal(groups)}")
    axis.set_ylim(-0.03, 1.05)
    axis.legend(fontsize=9)
    return figure


def score_against_length(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Success level by level, those beyond training included."""
    figure, axis = plt.subplots(figsize=(7.5, 5))
    _against_level(axis, groups, style, lambda row: row["success"])
    goal = _first(groups)["goal"]
    axis.axvline(goal, color="grey", linestyle=":", label="longest trained on")
    axis.set_ylabel("success")
    axis.set_ylim(-0.03, 1.05)
    axis.legend(fontsize=9)
    return figure


def speed_and_bytes(plt: Any, groups: dict[str, Cells], style: dict[str, Any]) -> Any:
    """Acting speed and bytes held, level by level."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5))
    _against_level(axes[0], groups, style, lambda row: row["acting_steps_per_second"])
    _against_level(axes[1], groups, style, lambda row: row["bytes_held"])
    axes[0].set_ylabel("acting steps/s, one thread")
    axes[1].set_ylabel("bytes held per environment")
    for axis in axes:
        axis.set_yscale("log")
    axes[0].legend(fontsize=9)
    return figure


def _against_level(
    axis: Any,
    groups: dict[str, Cells],
    style: dict[str, Any],
    pick: Callable[[dict[str, Any]], float],
) -> None:
    for variant, cells in groups.items():
        levels = [row["level"] for row in cells[0]["levels"]]
        values = [[pick(row) for row in c["levels"]] for c in cells]
        axis.plot(levels, np.mean(values, axis=0), label=variant, **style[variant])
    axis.set_xscale("log")
    axis.set_xlabel(_first(groups)["level_name"].replace("_", " "))


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
