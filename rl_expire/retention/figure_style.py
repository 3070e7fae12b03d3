"""Colours and sizes of the figures for papers."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's palette as in the videos, but with its darker blue, for a white background.
RELEVANT, OTHER, DECISION = "#E69F00", "#0072B2", "#F0E442"
FORGOTTEN, WRITTEN = "#E4E4E4", "#BBBBBB"

COLUMN = 3.4
"""Width of a figure, in inches: one column of a paper."""

STYLE: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    # A fixed salt makes the ids in SVG files, and so the files, reproducible.
    "svg.hashsalt": "rl_expire",
}
"""Settings of Matplotlib."""
