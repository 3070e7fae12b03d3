"""What a person sees while training: a live panel, or plain lines where there is no terminal."""

from __future__ import annotations

import math
from time import monotonic
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

PLAIN_EVERY = 10.0
"""Seconds between lines where output is not a terminal."""


class Progress:
    """Shows the metrics of the latest update. Use it as a context manager.

    Args:
        title: of the panel.
        steps: those taken before, when resuming.
    """

    def __init__(self, title: str, steps: int = 0):
        self.title = title
        self.console = Console()
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self._began = self._printed = monotonic()
        self._recent: list[tuple[float, float]] = [(self._began, steps)]

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since training began."""
        return monotonic() - self._began

    def start(self, steps: int) -> None:
        """Count time from now, and speed from `steps`, those taken before, when resuming."""
        self._began = self._printed = monotonic()
        self._recent = [(self._began, steps)]

    def warn(self, line: str) -> None:
        """Say something above the panel, without ending it."""
        self.console.print(f"warning: {line}", soft_wrap=True, highlight=False, markup=False)

    def update(self, metrics: dict[str, Any], remaining_steps: float) -> None:
        """Show `metrics`; training may end before `remaining_steps` while it is still learning."""
        now = monotonic()
        self._recent = [*self._recent[-20:], (now, metrics["steps"])]
        (then, before), (_, steps) = self._recent[0], self._recent[-1]
        speed = (steps - before) / max(now - then, 1e-9)
        left = clock(remaining_steps / max(speed, 1e-9))
        shown = describe(metrics, speed, f"at most {left}" if metrics["phase"] == "learn" else left)
        if self.console.is_terminal:
            self._live.update(self._panel(shown))
        elif now - self._printed > PLAIN_EVERY or self._printed == self._began:
            self._printed = now
            line = "  ".join(f"{name} {value}" for name, value in shown.items())
            self.console.print(f"{clock(self.seconds)}  {line}", soft_wrap=True, highlight=False)

    def _panel(self, shown: dict[str, str]) -> Panel:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", justify="right")
        table.add_column(min_width=44)
        for name, value in shown.items():
            table.add_row(name, value)
        return Panel(table, title=f"{self.title}  {clock(self.seconds)}", expand=False)


def describe(metrics: dict[str, Any], speed: float, left: str) -> dict[str, str]:
    """Return what to show, in order, as words."""
    doing = {
        "learn": "learning the task",
        "settle": "settling what was learned",
        "forget": "learning what to forget",
    }
    kept = [v for k, v in sorted(metrics.items()) if k.startswith("kept/")]
    shown = {
        "now": doing.get(metrics["phase"], metrics["phase"]),
        "steps": f"{metrics['steps']:,} ({speed:,.0f}/s)",
        "longest task": f"{metrics['level']}",
        "success": percent(metrics["success"]),
        "at the longest": percent(metrics["success_longest"]),
    }
    if kept:
        shown["memories kept"] = ", ".join(f"{n:.1f}" for n in kept)
    if "span_other" in metrics:
        relevant, other = metrics.get("span_relevant", math.nan), metrics["span_other"]
        shown["lifetimes"] = f"{relevant:.0f} of what matters, {other:.0f} of the rest"
    shown["time left"] = left
    return shown


def percent(share: float) -> str:
    """Format a share; a dash for NaN."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def clock(seconds: float) -> str:
    """Format a duration as `m:ss`, or `h:mm:ss` from an hour on."""
    whole = int(min(seconds, 359_999))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
