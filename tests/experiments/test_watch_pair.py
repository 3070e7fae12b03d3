"""`rl-expire watch RUN --compare RUN2` shows two agents in the same episodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments.watching.pair import pairs, title
from tests.experiments.conftest import Call, Files, change_config, read_json
from tests.experiments.test_watch import FAST, frames_of
from tests.traces import random_trace


def test_two_runs_are_filmed_in_the_same_episodes(
    own_run: Path, lstm_run: Path, tmp_path: Path, call: Call
) -> None:
    words = ("--seeds", "2", "3", "--sampled", *FAST, "--gif", "b.gif", "--still", "c.png")
    done = call("watch", "run", "--compare", "lstm", *words)
    assert done.code == 0, done.err
    frames = frames_of(own_run / "compare.mp4")
    assert f"compare.mp4: {frames} frames of 2 episodes" in done.out
    assert not (own_run / "retention.mp4").exists()
    assert sorted(os.listdir(lstm_run)) == sorted(set(os.listdir(own_run)) - {"compare.mp4"})
    for name in ("b.gif", "c.png"):
        with Image.open(tmp_path / name) as image:
            image.load()


def test_the_video_of_a_pair_goes_where_it_is_asked_to(
    own_run: Path, tmp_path: Path, call: Call
) -> None:
    words = ("--seeds", "2", "--sampled", *FAST, "--out", "a.mp4")
    done = call("watch", "run", "--compare", "run", *words)
    assert done.code == 0, done.err
    assert (tmp_path / "a.mp4").exists()
    assert not (own_run / "compare.mp4").exists()


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("expire-span", {"capacity": 1024}, "expire-span"),
        ("expire-span", {"capacity": 64}, "expire-span 64"),
        ("transformer-xl", {"window": 256}, "transformer-xl 256"),
        ("transformer-xl", {}, "transformer-xl"),
        ("memoryless", {"width": 3}, "memoryless"),
    ],
)
def test_agents_are_called_by_name_and_unusual_size(
    name: str, options: dict[str, Any], expected: str
) -> None:
    assert title({"name": name, "options": options}) == expected


def test_agents_of_the_same_name_are_distinguished_by_their_folders() -> None:
    config = {"agent": {"name": "lstm", "options": {}}}
    traces = [random_trace(2), random_trace(3)]
    (pair,) = pairs([Path("runs/a"), Path("runs/b")], [config, config], [[t] for t in traces])
    assert pair.names == ("lstm: runs/a", "lstm: runs/b")
    assert pair.traces == tuple(traces)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("id",), "RLExpire/Portal-v0", "its environment is RLExpire/Portal-v0, that of run is"),
        (("options", "max_length"), 9, "its --env.max-length is 9, that of run is 6: give two"),
        (("options", "num_cues"), 2, "its --env.num-cues is 2, that of run is 1: give two"),
    ],
)
def test_runs_with_different_episodes_are_not_compared(
    keys: tuple[str, ...], value: Any, message: str, lstm_run: Path, call: Call, files: Files
) -> None:
    if value == "RLExpire/Portal-v0":
        change_config(lstm_run, "env", "options", value={"rooms": 2})
        change_config(lstm_run, "env", "level", value=["rooms"])
    change_config(lstm_run, "env", *keys, value=value)
    before = files()
    assert f"--compare lstm: {message}" in call("watch", "run", "--compare", "lstm", *FAST).line
    assert files() == before


def test_an_option_that_one_run_does_not_know_is_a_difference(lstm_run: Path, call: Call) -> None:
    options = read_json(lstm_run / "config.json")["env"]["options"]
    del options["walkway"]
    change_config(lstm_run, "env", "options", value=options)
    line = call("watch", "run", "--compare", "lstm", *FAST).line
    assert "its --env.walkway is unknown, that of run is True" in line
