"""Show progress while training: a live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

from rich.panel import Panel
from rich.table import Table

from rl_expire.learning.recent_episodes import WINDOW
from rl_expire.runs.live_display import LiveDisplay

PLAIN_EVERY = 10.0
"""Seconds between lines where the output is not a terminal."""

PHASES = {
    "learn": "learning the task",
    "settle": "settling",
}


class Progress(LiveDisplay):
    """Display the metrics of the latest update; a context manager.

    Args:
        title: title of the panel.
        steps: environment steps of earlier sessions, for a resumed run.
    """

    def __init__(self, title: str, steps: int = 0):
        """Create a display; `with` shows it."""
        super().__init__(refresh_per_second=4, transient=True)
        self.title = title
        self.start(steps)

    @property
    def seconds(self) -> float:
        """Seconds since `start`."""
        return monotonic() - self._started

    def start(self, steps: int) -> None:
        """Measure time from now on, and speed from `steps` environment steps on."""
        self._started = self._printed = monotonic()
        self._recent: list[tuple[float, float]] = [(self._started, steps)]

    def say(self, line: str) -> None:
        """Print a line above the panel."""
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def warn(self, line: str) -> None:
        """Print a warning above the panel."""
        self.say(f"warning: {line}")

    def update(self, metrics: dict[str, Any], remaining_steps: float) -> None:
        """Display `metrics` and the time left.

        Args:
            metrics: metrics of the latest update.
            remaining_steps: environment steps left; in the phase `learn` an upper bound.
        """
        now = monotonic()
        self._recent = [*self._recent[-20:], (now, metrics["steps"])]
        (then, before), (_, steps) = self._recent[0], self._recent[-1]
        speed = (steps - before) / max(now - then, 1e-9)
        left = clock(remaining_steps / max(speed, 1e-9))
        rows = describe(metrics, speed, f"at most {left}" if metrics["phase"] == "learn" else left)
        if self.console.is_terminal:
            self._live.update(self._panel(rows))
        elif now - self._printed > PLAIN_EVERY or self._printed == self._started:
            self._printed = now
            line = "  ".join(f"{name} {value}" for name, value in rows.items())
            self.console.print(f"{clock(self.seconds)}  {line}", soft_wrap=True, highlight=False)

    def _panel(self, rows: dict[str, str]) -> Panel:
        """Return the panel with a row for each entry."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", justify="right")
        table.add_column(min_width=44)
        for name, value in rows.items():
            table.add_row(name, value)
        return Panel(table, title=f"{self.title}  {clock(self.seconds)}", expand=False)


def describe(metrics: dict[str, Any], speed: float, left: str) -> dict[str, str]:
    """Return the rows to display, label to text, in order.

    Args:
        metrics: metrics of an update.
        speed: environment steps per second.
        left: time left, in words.
    """
    held = [v for k, v in sorted(metrics.items()) if k.startswith("kept/")]
    rows = {
        "phase": PHASES.get(metrics["phase"], metrics["phase"]),
        "steps": f"{metrics['steps']:,} ({speed:,.0f}/s)",
    }
    if metrics["goal"] > 1:
        rows["level"] = f"{metrics['level']} of {metrics['goal']}, learned to {metrics['learned']}"
    if math.isnan(metrics["success"]) and not math.isnan(metrics["return"]):
        rows["mean return"] = f"{metrics['return']:.4g}"
    else:
        episodes = metrics["episodes"]
        few = f" of {episodes} episodes" if 0 < episodes < WINDOW else ""
        rows["success"] = percent(metrics["success"]) + few
        if metrics["goal"] > 1:
            rows["success at the hardest"] = percent(metrics["success_longest"])
    if held:
        of = f" of {metrics['seen']:.1f} memories" if "seen" in metrics else ""
        rows["holding"] = ", ".join(f"{n:.1f}" for n in held) + of
    if "span_other" in metrics:
        relevant, other = metrics.get("span_relevant", math.nan), f"{metrics['span_other']:.0f}"
        marked = not math.isnan(relevant)
        rows["lifetimes in steps"] = f"{relevant:.0f} relevant, {other} other" if marked else other
    rows["time left"] = left
    return rows


def percent(share: float) -> str:
    """Format a share as a percentage; a dash for NaN."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def clock(seconds: float) -> str:
    """Format a duration as `m:ss`, or as `h:mm:ss` from one hour on."""
    whole = int(min(seconds, 359_999))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
