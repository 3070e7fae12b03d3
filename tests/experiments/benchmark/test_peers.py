"""`bench peers` trains in turns, names what is missing, and prints a row for each peer."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents import LSTMConfig
from experiments.benchmark import own_peer, peers
from experiments.benchmark.peer import Slice, train_for
from experiments.benchmark.peers import make_peer, passes_of, time_in_turns
from experiments.benchmark.solving import solve_in_turns
from experiments.corridor import Corridor
from tests.experiments.benchmark.standins import Clock, StandIn
from tests.experiments.conftest import SCRIPTS, Call
from tests.rl_expire.learning.trainers import actor_of

TINY = ("--num-envs", "8", "--length", "6", "--seconds", "0", "--repeats", "2")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that peers set."""
    return Clock(monkeypatch)


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of all tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]


def test_a_slice_ends_with_the_update_that_fills_it(clock: Clock) -> None:
    assert train_for(StandIn(clock, "a", 2.0), 5.0) == Slice(300, 6.0, 2.0)
    assert train_for(StandIn(clock, "a", 2.0), 0.0) == Slice(100, 2.0, 2.0)
    assert Slice(300, 6.0, 2.0).speed == 50.0


def test_peers_are_timed_in_turns_after_an_update_each(clock: Clock) -> None:
    both = {"a": StandIn(clock, "a", 1.0), "b": StandIn(clock, "b", 4.0)}
    slices = time_in_turns(both, 2.0, 2)
    assert clock.trained == ["a", "b", "a", "a", "b", "a", "a", "b"]
    assert slices == {"a": [Slice(200, 2.0, 2.0)] * 2, "b": [Slice(100, 4.0, 2.0)] * 2}


def test_training_to_solve_the_task_stops_when_solved_or_out_of_time(clock: Clock) -> None:
    said: list[str] = []
    both = {"a": StandIn(clock, "a", 1.0, updates=25), "b": StandIn(clock, "b", 8.0)}
    attempts = solve_in_turns(both, 60.0, 10.0, said.append)
    a, b = attempts["a"], attempts["b"]
    # Each turn of 10 s is 10 updates of a: it is found out after 30 that 25 were enough.
    assert (a.steps, a.seconds, a.solved) == (3000, 30.0, True)
    # Turns of 16, 16, 16 and what is left of the minute, 12, in updates of 8.
    assert (b.steps, b.seconds, b.success, b.solved) == (800, 64.0, 0.5, False)
    assert said[0] == "a: 0:10, 1,000 steps, success 0.500"
    assert len(said) == 3 + 4


def test_rows_have_medians_spread_and_ratios_to_each_sb3(
    call: Call, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {"lstm": 0.5, "sb3": 2.0, "sb3:3": 1.0}

    def make(name: str, *_: Any, full_task: bool) -> StandIn:
        """Return a stand-in; the LSTM solves the task."""
        updates = 40 if name == "lstm" else 10**9
        return StandIn(clock, name, costs[name], updates, curriculum=name == "lstm")

    monkeypatch.setattr(peers, "make_peer", make)
    monkeypatch.setattr(peers, "installed", lambda *_, **__: None)
    monkeypatch.setenv("COLUMNS", "120")
    done = call("bench", "peers", "--peers", *costs, "--seconds", "1", "--to-solve", "0.5")
    assert done.code == 0, done.err
    assert rows(done.out) == [
        ["lstm", "32", "2.0 of 3", "4", "200", "200 to 200", "4.00", "2.00"],
        ["sb3", "32", "2.0 of 3", "4", "50", "50 to 50", "1.00", "0.50"],
        ["sb3:3", "32", "2.0 of 3", "4", "100", "100 to 100", "2.00", "1.00"],
        ["lstm", "yes", "0:30", "6,000", "1.000"],
        ["sb3", "no", "not solved", "1,500", "0.500"],
        ["sb3:3", "no", "not solved", "3,000", "0.500"],
    ]
    assert "sb3, sb3:3: full task only, without a curriculum" in done.out
    assert "threads" in done.out


def test_agents_of_this_project_alone_need_no_extra(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(own_peer, "EPISODES", 5)
    monkeypatch.setenv("COLUMNS", "120")
    done = call("bench", "peers", "--peers", "expire-span", "lstm", *TINY, "--to-solve", "0.001")
    assert done.code == 0, done.err
    assert [row[0] for row in rows(done.out)] == ["expire-span", "lstm"] * 2
    speeds = [float(row[4].replace(",", "")) for row in rows(done.out)[:2]]
    assert min(speeds) > 0
    assert "without a curriculum" not in done.out
    assert not list(tmp_path.iterdir())


def test_sb3_is_timed_beside_an_agent(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sb3_contrib", reason="the extra peers is not installed")
    monkeypatch.setenv("COLUMNS", "120")
    done = call("bench", "peers", "--peers", "lstm", "sb3:1", *TINY)
    assert done.code == 0, done.err
    ours, sb3 = rows(done.out)
    assert (ours[0], sb3[0], sb3[2:4]) == ("lstm", "sb3:1", ["1.0 of 1", "4"])
    assert sb3[-1] == "1.00"
    assert "sb3-contrib 2" in done.out


def test_what_is_missing_is_said_in_one_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    line = call("bench", "peers", "--peers", "sb3", "lstm").line
    assert "sb3_contrib is not installed: pip install 'rl-expire[peers]'" in line
    assert line.endswith("without it: --peers lstm")
    assert call("bench", "peers").line.endswith("without it: --peers expire-span lstm")
    assert not list(tmp_path.iterdir())


def test_no_other_command_imports_sb3() -> None:
    check = "import sys, experiments.cli; print(*(m for m in sys.modules if 'sb3' in m))"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=SCRIPTS.parent, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("sb3", 0),
        ("sb3:3", 3),
        *((name, None) for name in ("sb3:", "sb3:0", "sb3:101", "sb3:-1", "sb3:²", "lstm", "sb4")),
    ],
)
def test_a_name_says_how_many_passes_sb3_makes(name: str, passes: int | None) -> None:
    assert passes_of(name) == passes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--peers", "--peers is empty"),
        ("--peers lstm lstm", "--peers names lstm twice"),
        ("--peers lstm sb3:0", "--peers sb3:0 is unknown: choose from expire-span"),
        ("--peers lstm --length 2", "--length is 2: choose 3 or more"),
        ("--peers lstm --num-envs 0", "--num-envs is 0: choose 1 or more"),
        ("--peers lstm --num-envs 6", "--num-envs is 6, which is not divisible"),
        ("--peers lstm --repeats 0", "--repeats is 0: choose 1 or more"),
        ("--peers lstm --seconds -1", "--seconds is -1.0: choose 0 or more"),
        ("--peers lstm --to-solve nan", "--to-solve is nan: choose 0 or more"),
        ("--peers lstm --threads -1", "--threads is -1: choose 0 or more"),
        ("--peers lstm --seed -1", "--seed is -1: choose 0 or more"),
    ],
)
def test_bad_input_is_one_line(words: str, message: str, call: Call, tmp_path: Path) -> None:
    assert message in call("bench", "peers", *words.split()).line
    assert not list(tmp_path.iterdir())


def test_a_peer_of_this_project_is_the_trainer_of_its_default_recipe() -> None:
    task = peers.PeerTask(length=6, num_envs=8, seed=1)
    peer = make_peer("lstm", task, full_task=False)
    assert isinstance(peer, own_peer.OwnPeer)
    assert peer.curriculum
    trainer, recipe = peer.trainer, Corridor().with_agent(LSTMConfig())
    assert trainer.learner.ppo == recipe.ppo
    assert trainer.learner.forgetting.method == "never"
    assert trainer.train.longest_rollout == recipe.train.longest_rollout
    assert actor_of(trainer).envs.num_envs == 8
