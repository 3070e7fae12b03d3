"""Ctrl-C and being told to terminate: the first time politely, between two updates."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Notes that the process was told to end. Use it as a context manager.

    While `patient`, the first signal only sets `requested`, for whoever asks between updates. The
    second one, and any when not patient, raises `KeyboardInterrupt`. A signal that is being ignored
    (Ctrl-C in the background of a script) stays ignored. Outside the main thread nothing is noted.
    """

    def __init__(self) -> None:
        self.patient = True
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested or not self.patient:
            raise KeyboardInterrupt
        self.requested = True
