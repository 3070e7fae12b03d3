"""`rl-expire suite` trains what is missing on every task, and reports one table."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from unittest.mock import patch

import gymnasium
import popgym  # noqa: F401 (registers its ids)
import pytest

from experiments.comparison.suite_report import FEWEST_EPISODES, mmer, rows_of
from experiments.comparison.suites import SUITES, short_name
from tests.experiments.conftest import Call, Files, read_json
from tests.experiments.conftest import call as call_in
from tests.experiments.test_compare import InProcess, processes_made_by

TASKS = {"tiny": ("CartPole-v1", "popgym:popgym-RepeatFirstEasy-v0")}
WORDS = ("tiny", "--agents", "expire-span", "memoryless", "--seeds", "1", "--out", "s")
TINY = (
    *("--total-steps", "2048", "--", "--agent.width", "16", "--train.num-envs", "32"),
    *("--train.rollout-length", "32", "--eval.episodes", "2", "--eval.num-envs", "2"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a suite; tests must not change it."""
    folder = tmp_path_factory.mktemp("suite")
    with processes_made_by(InProcess), patch.dict(SUITES, TASKS):
        done = call_in("suite", *WORDS, *TINY, cwd=folder)
    assert done.code == 0, done.err
    return folder / "s"


def test_every_task_of_popgym_is_in_its_suite() -> None:
    registered = {f"popgym:{name}" for name in gymnasium.registry if name.startswith("popgym-")}
    assert set(SUITES["popgym"]) == registered
    assert len({short_name(env_id) for env_id in registered}) == len(registered)


def test_short_names_of_ids() -> None:
    assert short_name("popgym:popgym-RepeatFirstEasy-v0") == "RepeatFirstEasy"
    assert short_name("envs:RLExpire/TMaze-v0") == "TMaze"
    assert short_name("CartPole-v1") == "CartPole"
    assert short_name("Unversioned") == "Unversioned"


def test_a_suite_leaves_scores_table_and_curves(finished: Path) -> None:
    assert {"suite.json", "table.md", "learning_curves.png", "learning_curves.svg"} <= {
        path.name for path in finished.iterdir()
    }
    report = read_json(finished / "suite.json")
    assert len(report["runs"]) == 4
    assert {"command", "commit", "hardware"} <= report.keys()
    for run in report["runs"]:
        final = report["scores"]["final_return"][run["task"]][run["variant"]]
        assert final["mean"] == run["final_return"] == run["results"]["eval.return_mean"]
    assert report["scores"]["mmer"]["CartPole"]["memoryless"]["mean"] > 5
    lines = (finished / "table.md").read_text().splitlines()
    assert lines[:3] == ["## MMER", "", "| task | expire-span | memoryless |"]
    assert [line.split("|")[1].strip() for line in lines[4:7]] == [
        *("CartPole", "RepeatFirstEasy", "mean of 1 tasks")
    ]
    assert "--env-id popgym:popgym-RepeatFirstEasy-v0" in report["runs"][-1]["command"]


def test_finished_runs_are_skipped_and_missing_ones_made(
    finished: Path, call: Call, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(finished, tmp_path / "s"))
    shutil.rmtree(own / "CartPole" / "memoryless")
    with processes_made_by(InProcess) as commands, patch.dict(SUITES, TASKS):
        done = call("suite", *WORDS, *TINY)
    assert done.code == 0, done.err
    assert [words[:2] for words in commands] == [["train", "CartPole-v1"]]
    assert "memoryless" in commands[0]
    before, after = (read_json(folder / "suite.json")["scores"] for folder in (finished, own))
    assert before == after


def test_runs_made_with_other_options_are_not_mixed(
    finished: Path, call: Call, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "s")
    with patch.dict(SUITES, TASKS):
        line = call("suite", *WORDS, *TINY, "--ppo.clip", "0.1").line
    assert "was made with --ppo.clip 0.2, not 0.1" in line


def test_mmer_is_the_largest_mean_return_of_enough_episodes() -> None:
    few, enough = FEWEST_EPISODES - 1, FEWEST_EPISODES
    lines = [
        {"return": 9.0, "episodes": few},
        {"return": 0.2, "episodes": enough},
        {"return": 0.5, "episodes": enough},
        {"return": 0.4, "episodes": enough},
        {"return": None, "episodes": enough},
    ]
    assert mmer(lines) == 0.5
    assert math.isnan(mmer(lines[:1]))


def test_the_mean_over_tasks_is_of_those_that_all_agents_have_finished() -> None:
    scores = [("a", "x", 1.0), ("a", "x", 3.0), ("a", "y", 5.0), ("b", "x", 100.0)]
    records = [{"task": t, "variant": v, "mmer": score} for t, v, score in scores]
    rows = rows_of(records, ["x", "y"], "mmer")
    means = {name: [e["mean"] for e in cells] for name, cells in rows.items()}
    assert means["a"] == means["mean of 1 tasks"] == [2.0, 5.0]
    assert means["b"][0] == 100.0
    assert math.isnan(means["b"][1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("atari", "SUITE 'atari' is unknown: choose one of popgym"),
        ("popgym --tasks Maze", "--tasks Maze is unknown: choose from AutoencodeEasy"),
        ("popgym --agents", "--agents is empty"),
        ("popgym --seeds", "--seeds is empty"),
        ("popgym --agents rnn", "--agents rnn: 'rnn' is unknown"),
        ("popgym --total-steps 0", "--total-steps is 0"),
        ("popgym --jobs -1", "--jobs is -1: choose 0 or more"),
        ("popgym --tasks RepeatFirstEasy -- --seed 2", "to every run: use --seeds"),
        ("popgym --tasks RepeatFirstEasy -- --magic 2", "Unrecognized options: --magic"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: str, message: str, call: Call, files: Files
) -> None:
    assert message in call("suite", *words.split()).line
    assert not files()


def test_a_missing_package_is_named_with_a_remedy(call: Call) -> None:
    with patch("importlib.util.find_spec", lambda name: None if name == "popgym" else name):
        line = call("suite", "popgym").line
    assert "popgym is not installed: pip install 'rl-expire[popgym]'" in line
