"""Training commands report impossible options in one line, before anything is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.experiments.conftest import TINY, Call

AGENTS = "expire-span, transformer-xl, adaptive-span, compressive, lstm, gru, memoryless"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--env.max-length 2", "--env.max-length=2 is below min_length=3: give max_length >= 3"),
        ("--env.view-size 4", "--env.view-size=4 is impossible: give an odd number"),
        ("--agent.ramp 0", "--agent.ramp is 0.0: choose a number above 1e-06"),
        ("--agent.max-span 1e99", "--agent.max-span is 1e+99: choose a number above 0 and at most"),
        ("--agent.width 1e6", "--agent.width is 1000000: that agent is too large"),
        ("--agent.layers 1e9", "--agent.layers is 1000000000: choose 1000 or less"),
        ("--agent.heads 3", "--agent.heads is 3: choose a divisor of the width 64"),
        ("--agent.capacity 0", "--agent.capacity is 0: choose 1 or more"),
        ("--agent.layers 0", "--agent.layers is 0: choose 1 or more"),
        ("--agent.width 0", "--agent.width is 0: choose 1 or more"),
        ("--agent.fade square", "--agent.fade"),
        ("--train.num-envs 10", "--train.num-envs is 10, which is not divisible by"),
        ("--train.rollout-length 0", "--train.rollout-length is 0: choose 1 or more"),
        ("--eval.episodes 0", "--eval.episodes is 0: choose 1 or more"),
        ("--eval.num-envs 0", "--eval.num-envs is 0: choose 1 or more"),
        ("--ppo.clip -1", "--ppo.clip is -1.0: choose a number above 0"),
        ("--ppo.value-clip 0", "--ppo.value-clip is 0.0: choose a number above 0"),
        ("--ppo.value-cost -1", "--ppo.value-cost is -1.0: choose 0 or more"),
        ("--ppo.learning-rate nan", "--ppo.learning-rate is nan: choose a number above 0"),
        ("--ppo.gae-lambda 2", "--ppo.gae-lambda is 2.0: choose a number from 0 to 1"),
        ("--ppo.gamma 0", "--ppo.gamma is 0.0: choose a number above 0 and at most 1"),
        ("--ppo.epochs 0", "--ppo.epochs is 0: choose 1 or more"),
        ("--curriculum.advance-at 2", "--curriculum.advance-at is 2.0: choose a number above 0"),
        ("--curriculum.retreat-at 0.99", "--curriculum.retreat-at is 0.99, above advance_at"),
        ("--curriculum.growth 1", "--curriculum.growth is 1.0: choose a number above 1"),
        ("--learning.solved-at 2", "--learning.solved-at is 2.0: choose a number above 0"),
        ("--learning.entropy-start 0", "--learning.entropy-start is 0.0: choose a number above 0"),
        ("--forgetting.early 1", "--forgetting.early is 1.0: choose a number above 0 and below 1"),
        ("--forgetting.alpha -1", "--forgetting.alpha is -1.0: choose 0 or more"),
        ("--device tpu", "--device tpu is not available: choose cpu or auto"),
        ("--threads -1", "--threads is -1: choose 0 or more"),
        ("--seed -1", "--seed is -1: choose a number from 0 to 4294967295"),
        ("--seed 99999999999999999999", "--seed is 99999999999999999999: choose a number from 0"),
        ("--seed one", "Error parsing --seed"),
        ("--out /proc/none/run", "--out /proc/none/run cannot be written"),
        ("--resume .", ". is not a run folder"),
        ("--resume none", "none is not a run folder"),
        ("--resume latest", "--resume latest: no run of RLExpire/Corridor-v0"),
        ("--agent rnn", f"--agent 'rnn' is unknown: choose one of {AGENTS}"),
        ("--agent=rnn", f"--agent 'rnn' is unknown: choose one of {AGENTS}"),
        ("--agent", f"--agent '' is unknown: choose one of {AGENTS}"),
        ("--agent lstm --agent.width 0", "--agent.width is 0: choose 1 or more"),
        ("--agent memoryless --agent.window 4", "Unrecognized options: --agent.window, 4"),
    ],
)
def test_an_impossible_option_is_named_with_a_remedy(
    words: str, message: str, call: Call, tmp_path: Path
) -> None:
    line = call("train", "corridor", *words.split()).line
    assert line.startswith("rl-expire: error: ")
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "words", "message"),
    [
        ("portal", "--env.rooms 0", "--env.rooms=0 is"),
        ("portal", "--agent.heads 5", "--agent.heads is 5: choose a divisor"),
        ("instruction", "--env.instructions 0", "--env.instructions=0 is"),
        ("instruction", "--train.num-envs 3", "--train.num-envs is 3, which is not divisible by"),
    ],
)
def test_options_of_other_tasks_are_checked_too(
    task: str, words: str, message: str, call: Call, tmp_path: Path
) -> None:
    assert f"rl-expire: error: {message}" in call("train", task, *words.split()).line
    assert not list(tmp_path.iterdir())


def test_a_script_names_itself_in_its_messages(call: Call) -> None:
    assert call("corridor.py", "--seed", "-1").line.startswith("corridor.py: error: --seed is -1")


def test_an_existing_folder_is_never_trained_into(call: Call, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    assert "--out . exists already" in call("train", "corridor", *TINY, "--out", ".").line
    assert os.listdir(tmp_path) == ["config.json"]
    assert (tmp_path / "config.json").read_text() == "mine"
