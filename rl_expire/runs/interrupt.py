"""Stop training between two updates on Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Record the first SIGINT or SIGTERM instead of ending the process; a context manager.

    While `graceful` is true, the first signal only sets `requested`, for the training loop to check
    between updates. A second signal, or any signal once `graceful` is false, raises
    `KeyboardInterrupt`. Signals that are ignored stay ignored, such as Ctrl-C for a script's
    background jobs. Outside the main thread, signals are handled as before.
    """

    def __init__(self) -> None:
        """Create an interrupt; `with` installs its handlers."""
        self.graceful = True
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the signal handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested or not self.graceful:
            raise KeyboardInterrupt
        self.requested = True
