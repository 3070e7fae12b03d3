"""What a person sees while training."""

import io
import math
from typing import Any

import pytest
from rich.console import Console

from rl_expire.runs import progress as progress_module
from rl_expire.runs.progress import PLAIN_EVERY, Progress, clock, describe, percent

METRICS: dict[str, Any] = {
    "steps": 2048,
    "phase": "learn",
    "level": 34,
    "success": 0.5,
    "success_longest": math.nan,
    "kept/1": 3.0,
    "kept/0": 12.26,
    "span_relevant": 250.4,
    "span_other": 31.6,
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3599, "59:59"), (3600, "1:00:00")],
        *[(36_061, "10:01:01"), (359_999, "99:59:59"), (math.inf, "99:59:59")],
    ],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(0.985, "98.5 %"), (0, "0.0 %"), (math.nan, "-")])
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_metrics_are_described_in_words() -> None:
    assert describe(METRICS, 1234.5, "1:00") == {
        "now": "learning the task",
        "steps": "2,048 (1,234/s)",
        "longest task": "34",
        "success": "50.0 %",
        "at the longest": "-",
        "memories kept": "12.3, 3.0",
        "lifetimes": "250 of what matters, 32 of the rest",
        "time left": "1:00",
    }


def test_what_an_agent_does_not_tell_is_left_out() -> None:
    told = {k: v for k, v in METRICS.items() if not k.startswith(("kept", "span"))}
    assert not {"memories kept", "lifetimes"} & describe(told, 1, "").keys()
    shown = describe(METRICS | {"span_relevant": math.nan}, 1, "")
    assert shown["lifetimes"] == "nan of what matters, 32 of the rest"


def test_a_phase_without_words_of_its_own_is_named() -> None:
    assert describe(METRICS | {"phase": "forget"}, 1, "")["now"] == "learning what to forget"
    assert describe(METRICS | {"phase": "dream"}, 1, "")["now"] == "dream"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hand = Clock()
    monkeypatch.setattr(progress_module, "monotonic", hand)
    return hand


def plain(steps: int = 0) -> tuple[Progress, io.StringIO]:
    """A progress display whose output is a file."""
    shown, out = Progress("Corridor", steps), io.StringIO()
    shown.console = Console(file=out, force_terminal=False, width=20)
    return shown, out


def test_off_a_terminal_there_is_a_plain_line_at_once_and_then_every_few_seconds(
    time: Clock,
) -> None:
    shown, out = plain()
    lines = []
    with shown:
        for n, now in enumerate((1.0, 2.0, PLAIN_EVERY, PLAIN_EVERY + 2, PLAIN_EVERY + 3)):
            time.now = 100.0 + now
            shown.update(METRICS | {"steps": 100 * (n + 1)}, 1e6)
            lines.append(len(out.getvalue().splitlines()))
    assert lines == [1, 1, 1, 2, 2]
    assert "\x1b" not in out.getvalue()
    assert "0:01  now learning the task  steps 100 (100/s)" in out.getvalue().splitlines()[0]


def test_speed_is_that_of_this_session_and_time_left_follows_from_it(time: Clock) -> None:
    shown, out = plain(steps=1_000_000)
    time.now = 110.0
    shown.update(METRICS | {"steps": 1_005_000}, 30_000)
    assert "1,005,000 (500/s)" in out.getvalue()
    assert "time left at most 1:00" in out.getvalue()
    time.now = 200.0
    shown.update(METRICS | {"phase": "forget", "steps": 1_050_000}, 30_000)
    assert "time left 1:00" in out.getvalue().splitlines()[-1]
    assert shown.seconds == 100.0


def test_on_a_terminal_there_is_a_panel(time: Clock) -> None:
    shown = Progress("Corridor")
    time.now = 165.0
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    console.print(shown._panel(describe(METRICS, 10, "2:00")))
    assert "Corridor  1:05" in out.getvalue()
    assert "learning the task" in out.getvalue()


def test_the_terminal_is_given_back_when_training_fails() -> None:
    shown = Progress("Corridor")
    shown.console = Console(file=io.StringIO(), force_terminal=True)
    started = []

    def fail() -> None:
        with shown:
            started.append(shown._live.is_started)
            shown.update(METRICS, 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert started == [True]
    assert not shown._live.is_started
