"""The display while training, in a terminal and elsewhere."""

import io
import math
from typing import Any

import pytest
from rich.console import Console

from rl_expire.learning.recent_episodes import WINDOW
from rl_expire.runs import progress as progress_module
from rl_expire.runs.progress import PLAIN_EVERY, Progress, clock, describe, percent

METRICS: dict[str, Any] = {
    "steps": 2048,
    "phase": "learn",
    "level": 34,
    "learned": 26,
    "goal": 200,
    "success": 0.5,
    "episodes": WINDOW,
    "success_longest": math.nan,
    "return": 0.5,
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
        "phase": "learning the task",
        "steps": "2,048 (1,234/s)",
        "level": "34 of 200, learned to 26",
        "success": "50.0 %",
        "success at the hardest": "-",
        "holding": "12.3, 3.0",
        "lifetimes in steps": "250 relevant, 32 other",
        "time left": "1:00",
    }


def test_metrics_that_an_agent_does_not_have_are_left_out() -> None:
    metrics = {k: v for k, v in METRICS.items() if not k.startswith(("kept", "span"))}
    assert not {"holding", "lifetimes in steps"} & describe(metrics, 1, "").keys()
    rows = describe(METRICS | {"span_relevant": math.nan}, 1, "")
    assert rows["lifetimes in steps"] == "32"


def test_a_task_of_one_level_has_no_row_for_the_level() -> None:
    rows = describe(METRICS | {"level": 1, "learned": 0, "goal": 1}, 1, "")
    assert not {"level", "success at the hardest"} & rows.keys()
    assert rows["success"] == "50.0 %"


def test_memories_held_are_compared_with_all_that_were_seen() -> None:
    assert describe(METRICS | {"seen": 57.6}, 1, "")["holding"] == "12.3, 3.0 of 57.6 memories"


def test_success_over_few_episodes_says_how_many() -> None:
    """At first only short episodes have finished, and these may be the successful ones."""
    rows = [describe(METRICS | {"episodes": n}, 1, "")["success"] for n in (0, 4, WINDOW)]
    assert rows == ["50.0 %", "50.0 % of 4 episodes", "50.0 %"]


def test_the_mean_return_is_shown_where_success_is_unknown() -> None:
    rows = describe(METRICS | {"success": math.nan, "return": 1234.56}, 1, "")
    assert rows["mean return"] == "1235"
    assert not {"success", "success at the hardest"} & rows.keys()
    rows = describe(METRICS | {"success": math.nan, "return": math.nan}, 1, "")
    assert rows["success"] == "-", "no episode has finished yet"


def test_an_unknown_phase_is_shown_by_its_name() -> None:
    assert describe(METRICS | {"phase": "settle"}, 1, "")["phase"] == "settling"
    assert describe(METRICS | {"phase": "dream"}, 1, "")["phase"] == "dream"


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


def plain_progress(steps: int = 0) -> tuple[Progress, io.StringIO]:
    """A progress display whose output is a file."""
    progress, out = Progress("Corridor", steps), io.StringIO()
    progress.console = Console(file=out, force_terminal=False, width=20)
    return progress, out


def test_without_a_terminal_a_plain_line_appears_at_once_and_then_every_few_seconds(
    time: Clock,
) -> None:
    progress, out = plain_progress()
    lines = []
    with progress:
        for n, now in enumerate((1.0, 2.0, PLAIN_EVERY, PLAIN_EVERY + 2, PLAIN_EVERY + 3)):
            time.now = 100.0 + now
            progress.update(METRICS | {"steps": 100 * (n + 1)}, 1e6)
            lines.append(len(out.getvalue().splitlines()))
    assert lines == [1, 1, 1, 2, 2]
    assert "\x1b" not in out.getvalue()
    assert "0:01  phase learning the task  steps 100 (100/s)" in out.getvalue().splitlines()[0]


def test_speed_is_that_of_this_session_and_decides_the_time_left(time: Clock) -> None:
    progress, out = plain_progress(steps=1_000_000)
    time.now = 110.0
    progress.update(METRICS | {"steps": 1_005_000}, 30_000)
    assert "1,005,000 (500/s)" in out.getvalue()
    assert "time left at most 1:00" in out.getvalue()
    time.now = 200.0
    progress.update(METRICS | {"phase": "settle", "steps": 1_050_000}, 30_000)
    assert "time left 1:00" in out.getvalue().splitlines()[-1]
    assert progress.seconds == 100.0


def test_in_a_terminal_there_is_a_panel(time: Clock) -> None:
    progress = Progress("Corridor")
    time.now = 165.0
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    console.print(progress._panel(describe(METRICS, 10, "2:00")))
    assert "Corridor  1:05" in out.getvalue()
    assert "learning the task" in out.getvalue()


def test_the_live_display_is_closed_when_training_fails() -> None:
    progress = Progress("Corridor")
    progress.console = Console(file=io.StringIO(), force_terminal=True)
    started = []

    def fail() -> None:
        with progress:
            started.append(progress._live.is_started)
            progress.update(METRICS, 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert started == [True]
    assert not progress._live.is_started
