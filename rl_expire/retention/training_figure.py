"""A figure of a training run: what was learned, and what was held meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rl_expire.retention.figure_style import COLUMN, OTHER, RELEVANT, WRITTEN

HELD = "kept/"
"""Beginning of the keys of the memories held in each layer."""


def training(metrics: Sequence[Mapping[str, Any]]) -> Any:
    """Draw level and score over training, and the memories held beside what had been seen.

    Args:
        metrics: Lines of a run's `metrics.jsonl`, at least one.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(COLUMN, 1.3 * COLUMN), layout="constrained")
    has_levels = len({line.get("level") for line in metrics}) > 1
    panels = list(figure.subplots(3 if has_levels else 2, 1, sharex=True))
    millions = [line["steps"] / 1e6 for line in metrics]
    if has_levels:
        level = panels.pop(0)
        level.step(millions, curve(metrics, "level"), where="post", color=RELEVANT)
        _log_axis(level)
        level.set_ylabel("level")
    score, memory = panels
    known = any(line.get("success") is not None for line in metrics)
    name = "success" if known else "return"
    score.plot(millions, curve(metrics, name), color=RELEVANT)
    score.set_ylabel(f"{name}, recent" if known else "return, mean")
    if known:
        score.set_ylim(0, 1.05)
    _draw_memory(memory, millions, metrics)
    memory.set_xlabel("environment steps, millions")
    return figure


def _draw_memory(axes: Any, millions: list[float], metrics: Sequence[Mapping[str, Any]]) -> None:
    """Draw how many memories each layer held, and how many observations there had been."""
    axes.plot(millions, curve(metrics, "seen"), color=WRITTEN, label="seen so far in an episode")
    layers = sorted({key for line in metrics for key in line if key.startswith(HELD)})
    for n, key in enumerate(layers):
        name = "held" if len(layers) == 1 else f"held, layer {n + 1}"
        style = ("-", "--", ":", "-.")[n % 4]
        axes.plot(millions, curve(metrics, key), color=OTHER, linestyle=style, label=name)
    _log_axis(axes)
    axes.set_ylabel("memories, mean")
    axes.legend(loc="best")


def _log_axis(axes: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers."""
    from matplotlib import ticker

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def curve(metrics: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return a value of each line, NaN where it is missing."""
    values = [line.get(name) for line in metrics]
    return [math.nan if value is None else float(value) for value in values]
