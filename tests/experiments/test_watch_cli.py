"""watch.py: films any run again, or says in one line why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import imageio_ffmpeg
import pytest
import torch
from PIL import Image

from agents import LSTMConfig, make_agent
from rl_expire.retention.figures import figure_names
from rl_expire.retention.page.write import write_page
from rl_expire.runs.checkpoint import save_tree
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import on_path
from tests.traces import random_trace

SCRIPT = Path(__file__).parents[2] / "experiments" / "watch.py"
FAST = ("--fps", "1")


def change_config(run: Path, *keys: str, to: Any) -> None:
    """Set one entry of the run's configuration."""
    config = json.loads((run / "config.json").read_text())
    inner = config
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    (run / "config.json").write_text(json.dumps(config))


def test_as_a_user_runs_it_the_video_is_in_the_run_folder(own_run: Path, tmp_path: Path) -> None:
    pictures = ("--gif", "b.gif", "--still", "c.png")
    command = [sys.executable, str(SCRIPT), "run", "--seeds", "4", *FAST, *pictures]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(own_run / "retention.mp4"))
    assert f"retention.mp4: {frames} frames of 1 episodes" in done.stdout
    assert re.search(r"^peak memory \d+ MB$", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    for name in ("b.gif", "c.png"):
        with Image.open(tmp_path / name) as image:
            image.load()


def test_a_video_goes_where_it_is_told(
    own_run: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    done = call("watch.py", "run", "--seeds", "2", "--sampled", *FAST, "--out", "a.mp4")
    assert done.code == 0, done.err
    assert not (own_run / "retention.mp4").exists()
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
    assert f"a.mp4: {frames} frames of 1 episodes" in done.out


def test_a_page_lies_beside_the_video(
    own_run: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    for words, page in (
        ((), own_run / "retention.html"),
        (("--out", "a.mp4"), tmp_path / "a.html"),
    ):
        done = call("watch.py", "run", "--seeds", "2", *FAST, "--page", *words)
        assert done.code == 0, done.err
        assert f"{page.relative_to(tmp_path)}: open it in a browser\n" in done.out
        assert page.with_suffix(".mp4").exists()
        assert "<title>What the agent remembers</title>" in page.read_text("utf-8")


def test_episodes_can_be_harder_than_in_training(own_run: Path, call: Callable[..., Any]) -> None:
    done = call("watch.py", "run", "--seeds", "2", *FAST, "--page", "--level", "30")
    assert done.code == 0, done.err
    (length,) = re.findall(r'"length":(\d+),', (own_run / "retention.html").read_text("utf-8"))
    assert int(length) > 30


def test_without_a_level_in_the_run_there_is_none_to_change(
    own_run: Path, call: Callable[..., Any]
) -> None:
    change_config(own_run, "env", "level", to=[])
    line = call("watch.py", "run", *FAST, "--level", "30").line
    assert "config.json does not say what makes its episodes hard" in line


def test_what_a_page_leaves_out_is_said(
    own_run: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {"max_steps": 2, "max_bytes": 1_000_000}
    monkeypatch.setattr(write_page, "__kwdefaults__", fewer)
    done = call("watch.py", "run", "--seeds", "2", *FAST, "--page")
    assert "seed 2: Steps 1 to " in done.out


@pytest.fixture(name="lstm")
def lstm_fixture(own_run: Path, tmp_path: Path) -> Path:
    """A run beside `own_run`, of the same environment, whose agent is an LSTM, untrained."""
    run = Path(shutil.copytree(own_run, tmp_path / "lstm"))
    agent = LSTMConfig(width=8)
    with on_path():
        from experiments.open_run import agent_entry
        from rl_expire.vector.make import make_env
    change_config(run, "agent", to=agent_entry(agent))
    env = make_env("RLExpire/Corridor-v0", {})
    weights = make_agent(env.observation_space, env.action_space, agent).state_dict()
    for path in RunFolder(run).checkpoints.paths():
        save_tree({"trainer": {"agent": weights}}, path)
    return run


def test_figures_for_papers_lie_in_their_folder(
    own_run: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    done = call("watch.py", "run", "--seeds", "2", "3", *FAST, "--stills", "figures/new")
    assert done.code == 0, done.err
    assert f"figures/new: {', '.join(figure_names())}\n" in done.out
    assert sorted(os.listdir(tmp_path / "figures" / "new")) == sorted(figure_names())
    assert (own_run / "retention.mp4").exists()


def test_two_runs_are_filmed_on_the_same_episodes(
    own_run: Path, lstm: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    pictures = ("--gif", "b.gif", "--still", "c.png")
    done = call("watch.py", "run", "--compare", "lstm", "--seeds", "2", "3", *FAST, *pictures)
    assert done.code == 0, done.err
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(own_run / "compare.mp4"))
    assert f"compare.mp4: {frames} frames of 2 episodes" in done.out
    assert not (own_run / "retention.mp4").exists()
    assert sorted(os.listdir(lstm)) == sorted(set(os.listdir(own_run)) - {"compare.mp4"})
    for name in ("b.gif", "c.png"):
        with Image.open(tmp_path / name) as image:
            image.load()


def test_a_pairs_video_goes_where_it_is_told(
    own_run: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    done = call("watch.py", "run", "--compare", "run", "--seeds", "2", *FAST, "--out", "a.mp4")
    assert done.code == 0, done.err
    assert (tmp_path / "a.mp4").exists()
    assert not (own_run / "compare.mp4").exists()


def test_agents_are_called_by_name_and_unusual_size() -> None:
    with on_path():
        from experiments.watch_pair import title
    for name, options, expected in (
        ("expire-span", {"capacity": 1024}, "expire-span"),
        ("expire-span", {"capacity": 64}, "expire-span 64"),
        ("transformer-xl", {"window": 256}, "transformer-xl 256"),
        ("transformer-xl", {}, "transformer-xl"),
        ("memoryless", {"width": 3}, "memoryless"),
    ):
        assert title({"name": name, "options": options}) == expected


def test_agents_that_are_called_the_same_are_told_apart_by_their_folders() -> None:
    config = {"agent": {"name": "lstm", "options": {}}}
    traces = [random_trace(2), random_trace(3)]
    with on_path():
        from experiments.watch_pair import pairs
    (pair,) = pairs([Path("runs/a"), Path("runs/b")], [config, config], [[t] for t in traces])
    assert pair.names == ("lstm: runs/a", "lstm: runs/b")
    assert pair.traces == tuple(traces)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("id",), "RLExpire/Portal-v0", "its environment is RLExpire/Portal-v0, that of run is"),
        (("options", "max_length"), 9, "its --env.max-length is 9, that of run is 6: give two"),
        (("options", "num_cues"), 2, "its --env.num-cues is 2, that of run is 1: give two"),
    ],
)
def test_runs_of_other_episodes_are_not_compared(
    keys: tuple[str, ...],
    value: Any,
    says: str,
    own_run: Path,
    lstm: Path,
    call: Callable[..., Any],
    files: Callable[[], dict[str, int]],
) -> None:
    if value == "RLExpire/Portal-v0":
        change_config(lstm, "env", "options", to={})
    change_config(lstm, "env", *keys, to=value)
    before = files()
    assert f"--compare lstm: {says}" in call("watch.py", "run", "--compare", "lstm", *FAST).line
    assert files() == before


def test_an_option_that_one_run_does_not_know_is_a_difference(
    own_run: Path, lstm: Path, call: Callable[..., Any]
) -> None:
    options = json.loads((lstm / "config.json").read_text())["env"]["options"]
    del options["walkway"]
    change_config(lstm, "env", "options", to=options)
    line = call("watch.py", "run", "--compare", "lstm", *FAST).line
    assert "its --env.walkway is unknown, that of run is True" in line


def test_an_agent_without_memories_has_a_map_of_what_mattered(
    lstm: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    done = call("watch.py", "lstm", "--seeds", "2", *FAST, "--stills", "figures", "--page")
    assert done.code == 0, done.err
    assert "figures: heat_map.png, heat_map.svg\n" in done.out
    assert sorted(os.listdir(tmp_path / "figures")) == ["heat_map.png", "heat_map.svg"]
    assert '"importance":{"every":1,' in (lstm / "retention.html").read_text("utf-8")


def test_figures_without_matplotlib_are_refused_with_the_remedy(
    own_run: Path, call: Callable[..., Any], files: Callable[[], dict[str, int]]
) -> None:
    before = files()
    with patch("importlib.util.find_spec", lambda name: None):
        line = call("watch.py", "run", *FAST, "--stills", "figures").line
    assert line.endswith("matplotlib is not installed: pip install -e '.[compare]'")
    assert files() == before


def unknown_agent(run: Path) -> None:
    change_config(run, "agent", "name", to="oracle-of-delphi")


def unknown_env(run: Path) -> None:
    change_config(run, "env", "id", to="RLExpire/Nowhere-v0")


def unknown_env_option(run: Path) -> None:
    change_config(run, "env", "options", "gravity", to=9.81)


def impossible_env_option(run: Path) -> None:
    change_config(run, "env", "options", "max_length", to=1)


def unknown_agent_option(run: Path) -> None:
    change_config(run, "agent", "options", "charm", to=3)


def impossible_agent_option(run: Path) -> None:
    change_config(run, "agent", "options", "layers", to=0)


def another_width(run: Path) -> None:
    change_config(run, "agent", "options", "width", to=32)


def no_agent(run: Path) -> None:
    change_config(run, "agent", to=None)


def a_list_for_a_config(run: Path) -> None:
    (run / "config.json").write_text("[1, 2]")


def no_config(run: Path) -> None:
    (run / "config.json").unlink()


def corrupted_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        path.write_bytes(path.read_bytes()[:1000])


def another_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        save_tree({"trainer": {"agent": {"weight": torch.ones(1)}}}, path)


def no_checkpoint(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


BROKEN: dict[Callable[[Path], None], str] = {
    unknown_agent: "'oracle-of-delphi'",
    unknown_env: "Nowhere",
    unknown_env_option: "gravity",
    impossible_env_option: "max_length=1",
    unknown_agent_option: "does not have the options of this version's agent",
    impossible_agent_option: "--agent.layers is 0",
    another_width: "does not fit the agent",
    no_agent: "is not the configuration of a run",
    a_list_for_a_config: "is not the configuration of a run",
    no_config: "not a run folder",
    corrupted_checkpoint: "it is cut off",
    another_checkpoint: "does not fit the agent",
    no_checkpoint: "has no checkpoint yet",
}


@pytest.mark.parametrize("script", ["watch.py", "bench.py"])
@pytest.mark.parametrize("breaks", BROKEN, ids=lambda f: f.__name__)
def test_a_broken_run_is_one_line_and_nothing_is_written(
    breaks: Callable[[Path], None],
    script: str,
    own_run: Path,
    call: Callable[..., Any],
    files: Callable[[], dict[str, int]],
) -> None:
    breaks(own_run)
    before = files()
    words = ("run", *FAST) if script == "watch.py" else ("act", "--run", "run", "--lengths", "4")
    done = call(script, *words)
    assert done.line.startswith(f"{script}: error: ")
    assert BROKEN[breaks] in done.line
    assert files() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none"], "none is not a run folder"),
        (["run", "--fps", "0"], "fps is 0: choose 1 or more"),
        (["run", "--seeds"], "seeds is empty"),
        (["run", "--seeds", "1", "-1"], "--seeds is -1: choose 0 or more"),
        (["run", "--out", "none/a.mp4"], "none/a.mp4 cannot be written (No such file"),
        (["run", "--out", "."], "cannot be written (it is a folder): choose another path"),
        (["run", "--out", "none/a.mp4", "--page"], "none/a.mp4 cannot be written (No such file"),
        (["run", "--out", "a.html", "--page"], "--out is a.html: the page needs that name"),
        (["run", "--out", "a.mp4", "--page", "--fps", "0"], "fps is 0: choose 1 or more"),
        (["run", "--page", "--gif", "none/a.gif"], "none/a.gif cannot be written (No such file"),
        (
            ["run", "--page", "--still", "."],
            "cannot be written (it is a folder): choose another path",
        ),
        (["run", "--stills", "run/config.json"], "cannot be written (Not a directory)"),
        (["run", "--stills", "run/config.json/a"], "cannot be written (Not a directory)"),
        (["run", "--stills", "a", "--fps", "0"], "fps is 0: choose 1 or more"),
        (["run", "--stills", "a", "--seeds"], "seeds is empty"),
        (["run", "--compare", "none"], "none is not a run folder"),
        (["run", "--compare", "run", "--seeds"], "seeds is empty"),
        (["run", "--compare", "run", "--page"], "--page shows one agent: leave it or --compare"),
        (["run", "--compare", "run", "--stills", "a"], "--stills shows one agent: leave it or"),
        (["run", "--compare", "run", "--out", "none/a.mp4"], "none/a.mp4 cannot be written"),
        (["run", "--level", "1"], "--level 1: min_length=1 is too short"),
        (["run", "--frames", "3"], "Unrecognized options: --frames"),
        ([], "Missing from"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: list[str],
    says: str,
    own_run: Path,
    call: Callable[..., Any],
    files: Callable[[], dict[str, int]],
) -> None:
    before = files()
    assert says in call("watch.py", *words, *([] if "--fps" in words else FAST)).line
    assert files() == before


def test_a_page_that_cannot_be_written_stops_all_before_it_begins(
    own_run: Path, call: Callable[..., Any], files: Callable[[], dict[str, int]]
) -> None:
    (own_run / "retention.html").mkdir()
    before = files()
    line = call("watch.py", "run", *FAST, "--page").line
    assert line.endswith("retention.html cannot be written (it is a folder): choose another path")
    assert files() == before
