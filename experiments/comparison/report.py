"""Report a comparison: comparison.json, table.md and plots, from its finished runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.comparison.cell import Cell, at_hardest, share_of_oracle
from experiments.comparison.plots import plot_all
from experiments.comparison.table import markdown, print_rows
from experiments.scoring.measures import MEASURES
from rl_expire.runs.json_file import write_json
from rl_expire.scoring.statistics import estimate


def report(out: Path, task: str, cells: list[Cell], about: dict[str, Any]) -> None:
    """Write comparison.json, table.md and the plots into `out`, and print the table.

    Args:
        out: the comparison's folder.
        task: the task's name.
        cells: the finished runs; without any, nothing is written.
        about: what else to keep, such as the command, the commit and the hardware.
    """
    if not cells:
        return
    # Runs made earlier, or elsewhere, have a commit and a machine of their own.
    about = about | {f"{name}_of_runs": distinct(cells, name) for name in ("commit", "hardware")}
    variants = list(dict.fromkeys(c["variant"] for c in cells))
    rows = [row([c for c in cells if c["variant"] == variant]) for variant in variants]
    write_json(out / "comparison.json", {**about, "rows": rows, "runs": cells})
    print_rows(rows, task)
    (out / "table.md").write_text(markdown(rows, about))
    plot_all(out, cells)
    print(f"comparison.json, table.md and plots are in {out}")


def distinct(cells: list[Cell], name: str) -> str:
    """Return the different values of a result over the runs."""
    return "; ".join(dict.fromkeys(str(c["results"][name]) for c in cells))


def row(cells: list[Cell]) -> dict[str, Any]:
    """Return the estimates of one variant over its seeds."""

    def over(pick: Callable[[Cell], float]) -> dict[str, Any]:
        return asdict(estimate([pick(c) for c in cells]))

    def result(name: str) -> Any:
        first = cells[0]["results"].get(name, math.nan)
        if isinstance(first, list):
            return [over(lambda c, n=n: c["results"][name][n]) for n in range(len(first))]
        return over(lambda c: c["results"].get(name, math.nan))

    def level_by_level() -> dict[str, Any]:
        scores: dict[int, list[float]] = {}
        for c in cells:
            for line in c["levels"]:
                scores.setdefault(line["level"], []).append(line[c["measure"]])
        return {str(level): asdict(estimate(found)) for level, found in sorted(scores.items())}

    return {
        "variant": cells[0]["variant"],
        "seeds": [c["seed"] for c in cells],
        "command": cells[0]["command"],
        "parameters": cells[0]["results"]["parameters"],
        "level_name": cells[0]["level_name"],
        "measure": cells[0]["measure"],
        "levels": level_by_level(),
        "goal": cells[0]["goal"],
        "acting_level": at_hardest(cells[0])["level"],
        "solved": sum(c["results"]["train.solved"] for c in cells),
        "scores": {measure.key: result(measure.key) for measure in MEASURES},
        "share_of_oracle": over(share_of_oracle),
        "steps": result("train.steps"),
        "steps_per_second": result("train.steps_per_second"),
        "minutes": over(lambda c: c["results"]["train.seconds"] / 60),
        "minutes_to_solve": over(lambda c: c["minutes_to_solve"]),
        "acting_steps_per_second": over(lambda c: at_hardest(c)["acting_steps_per_second"]),
    }
