"""Table and figure of a comparison of models of characters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from experiments.characters.train import Trained
from rl_expire.retention.figure_style import COLUMN, STYLE
from rl_expire.runs.atomic import atomic_write

COLUMNS = (
    *("memory", "parameters", "bits per character", "held a layer"),
    *("memory, MB", "peak to learn, MB", "ms an update", "seconds"),
)


def rows(results: Sequence[Trained]) -> list[list[str]]:
    """Return the cells of each model."""
    return [
        [
            f"{r.kind}:{r.size}",
            f"{r.parameters:,}",
            f"{r.bits:.3f}",
            f"{r.held:.1f}",
            f"{r.memory_bytes / 1e6:.2f}",
            f"{r.peak_bytes / 1e6:.0f}",
            f"{r.milliseconds:.0f}",
            f"{r.seconds:.0f}",
        ]
        for r in results
    ]


def table(results: Sequence[Trained]) -> Table:
    """Return the table for the terminal."""
    shown = Table(title="Held-out text")
    for title in COLUMNS:
        shown.add_column(title, justify="left" if title == "memory" else "right")
    for cells in rows(results):
        shown.add_row(*cells)
    return shown


def write_table(results: Sequence[Trained], path: Path, provenance: str) -> None:
    """Write the table as Markdown."""
    lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *rows(results)]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    with atomic_write(path) as temporary:
        temporary.write_text(f"{text}\n\n{provenance}.\n", encoding="utf-8")


def write_figure(results: Sequence[Trained], path: Path) -> None:
    """Draw bits per character against the memories held, a line for each kind of memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(COLUMN, 0.75 * COLUMN))
        for kind in dict.fromkeys(r.kind for r in results):
            points = sorted((r.held, r.bits) for r in results if r.kind == kind)
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=kind)
        axes.set_xscale("log")
        axes.set_xlabel("memories held by a layer")
        axes.set_ylabel("bits per character")
        axes.legend()
        with atomic_write(path, path.suffix) as temporary:
            figure.savefig(temporary, bbox_inches="tight")
        plt.close(figure)
