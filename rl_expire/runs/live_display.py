"""Show something that changes in place, where the output is a terminal."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.live import Live


class LiveDisplay:
    """A console with a live region, which is open in a terminal only; a context manager.

    Args:
        refresh_per_second: how often the region is drawn.
        transient: remove the region at the end.

    Attributes:
        console: where to print.
    """

    def __init__(self, *, refresh_per_second: float, transient: bool = False):
        """Create a display; `with` shows it."""
        self.console = Console()
        self._live = Live(
            console=self.console, refresh_per_second=refresh_per_second, transient=transient
        )

    def __enter__(self) -> Self:
        """Open the live region, if the output is a terminal."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the live region."""
        if self.console.is_terminal:
            self._live.stop()
