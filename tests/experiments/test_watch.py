"""`rl-expire watch` films a run, or says in one line why it cannot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import imageio_ffmpeg
import pytest
from PIL import Image

from experiments.watching.film import env_at_level
from rl_expire.retention.figures import figure_names
from rl_expire.retention.page.write import write_page
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import SCRIPTS, Call, Files, change_config

FAST = ("--fps", "1")


def frames_of(video: Path) -> int:
    """Return the number of frames of a video file."""
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(video))
    assert frames is not None
    return frames


def test_the_script_as_a_process_films_into_the_run_folder(own_run: Path, tmp_path: Path) -> None:
    words = ("run", "--seeds", "4", *FAST, "--gif", "b.gif", "--still", "c.png")
    command = [sys.executable, str(SCRIPTS / "watch.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    frames = frames_of(own_run / "retention.mp4")
    assert f"retention.mp4: {frames} frames of 1 episodes" in done.stdout
    assert re.search(r"^peak memory \d+ MB$", done.stdout, re.MULTILINE)
    for name in ("b.gif", "c.png"):
        with Image.open(tmp_path / name) as image:
            image.load()


def test_video_and_page_go_where_they_are_asked_to(
    own_run: Path, tmp_path: Path, call: Call
) -> None:
    words = ("--seeds", "2", "--sampled", *FAST, "--page", "--out", "a.mp4")
    done = call("watch", "run", *words)
    assert done.code == 0, done.err
    assert not (own_run / "retention.mp4").exists()
    assert not (own_run / "retention.html").exists()
    assert f"a.mp4: {frames_of(tmp_path / 'a.mp4')} frames of 1 episodes" in done.out
    assert "a.html: open it in a browser\n" in done.out
    assert "<title>What the agent remembers</title>" in (tmp_path / "a.html").read_text("utf-8")


def test_by_default_video_and_page_are_in_the_run_folder_and_figures_where_asked_to(
    own_run: Path, tmp_path: Path, call: Call
) -> None:
    words = ("--seeds", "2", "--sampled", *FAST, "--page", "--level", "9", "--stills", "figures/a")
    done = call("watch", "run", *words)
    assert done.code == 0, done.err
    assert (own_run / "retention.mp4").exists()
    assert "run/retention.html: open it in a browser\n" in done.out
    assert (own_run / "retention.html").exists()
    assert f"figures/a: {', '.join(figure_names())}\n" in done.out
    assert sorted(os.listdir(tmp_path / "figures" / "a")) == sorted(figure_names())


def test_an_exported_policy_is_filmed_and_scored_but_not_written_into(
    own_run: Path, tmp_path: Path, call: Call, files: Files
) -> None:
    assert call("export", "run", "models/policy").code == 0
    before = files()
    done = call("watch", "models/policy", "--seeds", "2", *FAST, "--page")
    assert done.code == 0, done.err
    video = tmp_path / "policy-retention.mp4"
    assert f"{video}: {frames_of(video)} frames of 1 episodes" in done.out
    done = call("levels", "models/policy", "--levels", "4", "--episodes", "2")
    assert f"{tmp_path / 'policy-levels.json'}: the same numbers" in done.out
    names = ("policy-retention.mp4", "policy-retention.html", "policy-levels.json")
    assert sorted(set(files()) - set(before)) == sorted(str(tmp_path / name) for name in names)
    assert before.items() <= files().items()


def test_a_level_sets_the_difficulty_of_every_episode(tiny_run: Path) -> None:
    folder, config = RunFolder.open(tiny_run)
    env = env_at_level(folder, config["env"], 30)
    for seed in range(3):
        _, info = env.reset(seed=seed)
        assert info["length"] == 30


def test_a_run_without_difficulty_has_no_other_level(own_run: Path, call: Call) -> None:
    change_config(own_run, "env", "level", value=[])
    line = call("watch", "run", *FAST, "--level", "30").line
    assert "config.json does not name an option that sets difficulty" in line


def test_a_page_says_what_it_leaves_out(
    own_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = (write_page.__kwdefaults__ or {}) | {"max_steps": 2}
    monkeypatch.setattr(write_page, "__kwdefaults__", limits)
    done = call("watch", "run", "--seeds", "2", *FAST, "--page")
    assert "seed 2: Steps 1 to " in done.out


def test_an_agent_without_memories_has_a_map_of_what_mattered(
    lstm_run: Path, tmp_path: Path, call: Call
) -> None:
    done = call("watch", "lstm", "--seeds", "2", *FAST, "--stills", "figures", "--page")
    assert done.code == 0, done.err
    assert "figures: heat_map.png, heat_map.svg, training.png, training.svg\n" in done.out
    drawn = [f"{name}.{kind}" for name in ("heat_map", "training") for kind in ("png", "svg")]
    assert sorted(os.listdir(tmp_path / "figures")) == drawn
    assert '"importance":{"every":1,' in (lstm_run / "retention.html").read_text("utf-8")


def test_figures_need_matplotlib(own_run: Path, call: Call, files: Files) -> None:
    before = files()
    with patch("importlib.util.find_spec", lambda name: None):
        line = call("watch", "run", *FAST, "--stills", "figures").line
    assert "matplotlib is not installed: pip install 'rl-expire[compare]'" in line
    assert line.endswith("(in a checkout: pip install -e '.[compare]')")
    assert files() == before
    assert own_run.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none", "none is not a run folder"),
        ("run --fps 0", "--fps is 0: choose 1 or more"),
        ("run --seeds", "--seeds is empty"),
        ("run --seeds 1 -1", "--seeds is -1: choose 0 or more"),
        ("run --out none/a.mp4", "none/a.mp4 cannot be written (No such file"),
        ("run --out .", "cannot be written (it is a folder): choose another path"),
        ("run --out a.html --page", "--out is a.html: the page needs that name"),
        ("run --gif a.mp4", "--gif a.mp4 does not end in .gif: name it a.gif"),
        ("run --page --gif none/a.gif", "none/a.gif cannot be written (No such file"),
        ("run --page --still .", "cannot be written (it is a folder): choose another path"),
        ("run --stills run/config.json", "cannot be written (Not a directory)"),
        ("run --stills run/config.json/a", "cannot be written (Not a directory)"),
        ("run --compare none", "none is not a run folder"),
        ("run --compare run --page", "--page shows one agent: leave it or --compare"),
        ("run --compare run --stills a", "--stills shows one agent: leave it or --compare"),
        ("run --compare run --out none/a.mp4", "none/a.mp4 cannot be written"),
        ("run --level 1", "--level 1: min_length=1 is too short"),
        ("run --frames 3", "Unrecognized options: --frames"),
        ("", "Missing from"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: str, message: str, own_run: Path, call: Call, files: Files
) -> None:
    before = files()
    assert message in call("watch", *words.split(), *([] if "--fps" in words else FAST)).line
    assert files() == before
    assert own_run.exists()


def test_nothing_is_written_if_the_page_cannot_be(own_run: Path, call: Call, files: Files) -> None:
    (own_run / "retention.html").mkdir()
    before = files()
    line = call("watch", "run", *FAST, "--page").line
    assert line.endswith("retention.html cannot be written (it is a folder): choose another path")
    assert files() == before
