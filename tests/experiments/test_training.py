"""What a training run writes, prints and reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.scoring.measures import MEASURES
from experiments.scoring.results_table import print_table
from rl_expire.runs.json_file import read_results
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import TINY, Call, read_json

ABOUT_RUN = {
    *("env_id", "agent", "seed", "commit", "hardware", "parameters"),
    *("train.steps", "train.seconds", "train.steps_per_second", "train.solved"),
}
TOO_FAST = ("--ppo.learning-rate", "1e30")


def test_a_run_leaves_config_metrics_checkpoints_and_results(tiny_run: Path) -> None:
    results = read_json(tiny_run / "results.json")
    assert results.keys() == ABOUT_RUN | {measure.key for measure in MEASURES}
    assert results["train.steps"] == 512
    assert results["eval.episodes"] == 7
    assert results["oracle.return_mean"] == 1.0
    config = read_json(tiny_run / "config.json")
    assert config["env"]["options"]["max_length"] == 6
    assert config["agent"]["options"]["width"] == 16
    assert RunFolder(tiny_run).checkpoints.exist


def test_every_measure_with_a_label_is_a_row_of_the_table(
    tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_results(tiny_run / "results.json")
    for one_level in (False, True):
        print_table(results, one_level=one_level)
        rows = [
            line.split("│")[1].strip()
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("│")
        ]
        shown = [m for m in MEASURES if not (one_level and m.key == "eval.success_at_hardest")]
        labels = [measure.label for measure in shown if measure.label]
        assert rows[: len(labels)] == labels, "one level has its success in one row"


@pytest.mark.parametrize("words", [["--agent", "lstm"], ["--agent=lstm"]])
def test_measures_that_an_agent_lacks_are_dashes(
    words: list[str], call: Call, tmp_path: Path
) -> None:
    few = ("--env.max-length", "4", "--train.num-envs", "4", "--train.total-steps", "64")
    few += ("--train.rollout-length", "8", "--eval.episodes", "3", "--no-video")
    done = call("train", "corridor", *words, *few, "--out", "run")
    assert done.code == 0, done.err
    assert "nan" not in done.out
    (row,) = [line for line in done.out.splitlines() if "recall at decisions" in line]
    assert row.split("│")[2].strip() == "-"
    assert read_json(tmp_path / "run" / "results.json")["eval.recall"] is None


def test_a_loss_that_is_not_finite_stops_the_run_and_says_how_to_go_on(
    tmp_path: Path, call: Call
) -> None:
    done = call("train", "corridor", *TINY, "--out", "run", *TOO_FAST)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("rl-expire: error: loss nan, gradient norm nan at update 1")
    assert "corridor --resume run and a --ppo.learning-rate below 1e+30" in line
    report = read_json(tmp_path / "run" / "nonfinite.json")
    assert (report["update"], report["steps"], report["phase"]) == (1, 0, "learn")
    batch = report["batch"]
    assert batch.keys() >= {"reward", "advantage", "value", "logits", "terminated", "truncated"}
    assert batch["logits"]["nonfinite"] > 0
    reward = batch["reward"]
    assert (reward["least"], reward["entries"], reward["nonfinite"]) == (0.0, 32, 0)
    assert reward["most"] in (0.0, 1.0)

    resume = ("--resume", "run", "--no-video", "--ppo.learning-rate", "1e-3")
    done = call("train", "corridor", *resume)
    assert done.code == 0, done.err
    config = read_json(tmp_path / "run" / "config.json")
    assert config["ppo"]["learning_rate"] == 1e-3, "the run must not fail again when resumed"
    assert read_json(tmp_path / "run" / "results.json")["train.steps"] == 512


def test_the_checkpoint_before_a_loss_that_is_not_finite_is_kept(own_run: Path, call: Call) -> None:
    newest = RunFolder(own_run).checkpoints.paths()[0]
    before = newest.read_bytes()
    more = ("--resume", "run", "--train.total-steps", "2048")
    done = call("train", "corridor", *more, *TOO_FAST)
    assert done.code == 1
    assert "after 512 steps" in done.err
    assert newest.read_bytes() == before
