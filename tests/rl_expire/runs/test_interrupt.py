"""The first signal stops training gracefully, the second one at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from rl_expire.runs.interrupt import SIGNALS, Interrupt


@pytest.fixture(autouse=True)
def default_signals() -> Iterator[None]:
    """Heed signals during a test, also where the tests run in the background and ignore Ctrl-C."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_recorded_and_the_second_one_raises(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        assert not interrupt.requested
        send(number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            send(number)
    assert signal.getsignal(number) is before


def test_when_not_graceful_the_first_signal_raises() -> None:
    with Interrupt() as interrupt:
        interrupt.graceful = False
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            send(signal.SIGINT)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGINT, before)
