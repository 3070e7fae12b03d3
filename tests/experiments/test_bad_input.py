"""corridor.py: what cannot be done is said in one line, before anything is written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_expire.learning.nonfinite import NonFiniteLossError
from rl_expire.runs.checkpoint import save_tree
from rl_expire.runs.run_folder import RunFolder

SCRIPT = Path(__file__).parents[2] / "experiments" / "corridor.py"
TOO_FAST = ("--ppo.learning-rate", "1e30")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--env.max-length 2", "--env.max-length=2 is below min_length=3: give max_length >= 3"),
        ("--env.view-size 4", "--env.view-size=4 is impossible: give an odd number"),
        ("--agent.ramp 0", "--agent.ramp is 0.0: choose a number above 0"),
        ("--agent.heads 3", "--agent.heads 3 does not divide --agent.width 64: change one"),
        ("--agent.capacity 0", "--agent.capacity is 0: choose 1 or more"),
        ("--agent.layers 0", "--agent.layers is 0: choose 1 or more"),
        ("--agent.width 0", "--agent.width is 0: choose 1 or more"),
        ("--agent.fade square", "--agent.fade"),
        ("--train.num-envs 10", "--train.num-envs 10 is not divisible by --ppo.minibatches 4"),
        ("--train.rollout-length 0", "--train.rollout-length is 0: choose 1 or more"),
        ("--eval.episodes 0", "--eval.episodes is 0: choose 1 or more"),
        ("--eval.num-envs 0", "--eval.num-envs is 0: choose 1 or more"),
        ("--ppo.clip -1", "--ppo.clip is -1.0: choose a number above 0"),
        ("--ppo.value-clip 0", "--ppo.value-clip is 0.0: choose a number above 0"),
        ("--ppo.value-cost -1", "--ppo.value-cost is -1.0: choose 0 or more"),
        ("--ppo.learning-rate nan", "--ppo.learning-rate is nan: choose a number above 0"),
        ("--ppo.gae-lambda 2", "--ppo.gae-lambda is 2.0: choose one from 0 to 1"),
        ("--ppo.gamma 0", "--ppo.gamma is 0.0: choose one above 0 and at most 1"),
        ("--ppo.epochs 0", "--ppo.epochs is 0: choose 1 or more"),
        ("--curriculum.advance-at 2", "--curriculum.advance-at is 2.0: choose one above 0"),
        ("--curriculum.retreat-at 0.99", "--curriculum.retreat-at is 0.99: choose one from 0 to"),
        ("--curriculum.growth 1", "--curriculum.growth is 1.0: choose a factor above 1"),
        ("--learning.solved-at 2", "--learning.solved-at is 2.0: choose one above 0"),
        ("--learning.entropy-start 0", "--learning.entropy-start is 0.0: choose a number above 0"),
        ("--forgetting.momentum 1", "--forgetting.momentum is 1.0: choose one in [0, 1)"),
        ("--forgetting.alpha -1", "--forgetting.alpha is -1.0: choose 0 or more"),
        ("--device tpu", "--device tpu is not available: choose cpu or auto"),
        ("--threads -1", "--threads is -1: choose 0 or more"),
        ("--seed -1", "--seed is -1: choose one from 0 to"),
        ("--seed 99999999999999999999", "--seed is 99999999999999999999: choose one from 0 to"),
        ("--seed one", "Error parsing --seed"),
        ("--out /proc/none/run", "--out /proc/none/run cannot be written"),
        ("--resume .", "is not a run folder"),
        ("--resume none", "none is not a run folder"),
    ],
)
def test_each_impossible_option_is_named_with_its_remedy(
    words: str, says: str, call: Callable[..., Any], tmp_path: Path
) -> None:
    assert says in call("corridor.py", *words.split()).line
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_as_a_user_meets_it(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--agent.rmp", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("corridor.py: error: Unrecognized options: --agent.rmp, 3")
    assert "Perhaps you meant" in line
    assert not list(tmp_path.iterdir())


def test_help_is_not_squeezed_into_a_line(call: Callable[..., Any]) -> None:
    done = call("corridor.py", "--help")
    assert done.code == 0
    assert len(done.out.splitlines()) > 50
    assert done.err == ""


def break_config(run: Path) -> None:
    (run / "config.json").write_text('{"env": {"id": "RLExpire/Corridor-v0"}}')


def break_options(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["ppo"]["magic"] = True
    (run / "config.json").write_text(json.dumps(config))


def break_env(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["env"]["id"] = "RLExpire/Elsewhere-v0"
    (run / "config.json").write_text(json.dumps(config))


def break_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        path.write_bytes(b"nonsense")


def another_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        save_tree({"trainer": {"agent": {}}, "seconds": 1.0}, path)


def old_checkpoint(run: Path) -> None:
    for path in RunFolder(run).checkpoints.paths():
        path.rename(path.with_name("last.pt"))


BROKEN: dict[Callable[[Path], None], str] = {
    break_config: "does not have the options of this version",
    break_options: "does not have the options of this version",
    break_env: "is a run of RLExpire/Elsewhere-v0",
    break_checkpoint: "it is cut off, or not a safetensors file",
    another_checkpoint: "cannot be used: the state lacks",
    old_checkpoint: "was trained with an earlier version",
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda f: f.__name__)
def test_a_broken_run_cannot_be_continued_and_is_left_as_it_is(
    breaks: Callable[[Path], None],
    own_run: Path,
    call: Callable[..., Any],
    files: Callable[[], dict[str, int]],
) -> None:
    breaks(own_run)
    before = files()
    assert BROKEN[breaks] in call("corridor.py", "--resume", "run").line
    assert files() == before


def test_a_loss_that_is_not_finite_stops_the_run_and_says_how_to_go_on(
    tiny: list[str], tmp_path: Path, call: Callable[..., Any]
) -> None:
    done = call("corridor.py", *tiny, "--out", "run", *TOO_FAST)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("corridor.py: error: loss nan, gradient norm nan at update 1")
    assert "corridor.py --resume run and a --ppo.learning-rate below 1e+30" in line
    told = json.loads((tmp_path / "run" / "nonfinite.json").read_text())
    assert (told["update"], told["steps"], told["phase"]) == (1, 0, "learn")
    batch = told["batch"]
    assert batch.keys() >= {"reward", "advantage", "value", "logits", "terminated", "truncated"}
    assert batch["logits"]["nonfinite"] > 0
    reward = batch["reward"]
    assert (reward["least"], reward["entries"], reward["nonfinite"]) == (0.0, 32, 0)
    assert reward["most"] in (0.0, 1.0)

    done = call("corridor.py", "--resume", "run", "--no-video", "--ppo.learning-rate", "1e-3")
    assert done.code == 0, done.err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["ppo"]["learning_rate"] == 1e-3, "a run that goes on again must not blow up again"
    assert json.loads((tmp_path / "run" / "results.json").read_text())["train.steps"] == 512


def test_the_checkpoint_before_a_loss_that_is_not_finite_is_kept(
    own_run: Path, call: Callable[..., Any]
) -> None:
    (path, *_) = RunFolder(own_run).checkpoints.paths()
    before = path.read_bytes()
    done = call("corridor.py", "--resume", "run", "--train.total-steps", "2048", *TOO_FAST)
    assert done.code == 1
    assert "after 512 steps" in done.err
    assert path.read_bytes() == before


def test_while_forgetting_it_is_the_rate_of_forgetting_that_is_to_be_lowered(
    tiny: list[str], call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(trainer: Any) -> None:
        trainer.schedule.phase = "forget"
        raise NonFiniteLossError("loss inf, gradient norm nan", {})

    monkeypatch.setattr("rl_expire.learning.trainer.Trainer.update", fail)
    done = call("corridor.py", *tiny, "--out", "run")
    assert done.code == 1
    assert "a --forgetting.learning-rate below 0.05" in done.err


@pytest.mark.parametrize("broken", ["metrics.jsonl", "checkpoints", "config.json"])
def test_a_disk_that_stays_full_ends_in_one_line_and_the_last_good_checkpoint(
    broken: str,
    own_run: Path,
    call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened = Path.open

    def full_for_some(path: Path, *mode: Any, **options: Any) -> Any:
        write = mode != () and "r" not in mode[0]
        hit = write and (broken in path.name or broken == path.parent.name)
        return (full if hit else opened)(path, *mode, **options)

    monkeypatch.setattr(Path, "open", full_for_some)
    done = call("corridor.py", "--resume", "run", "--no-video", "--train.total-steps", "2048")
    assert "free some disk space" in done.line
    if broken != "config.json":
        assert "its last checkpoint is that of update 4" in done.line
        assert "warning: no checkpoint could be written (No space left on device)" in done.out
    states = []
    RunFolder(own_run).checkpoints.load(states.append)
    assert states[0]["trainer"]["updates"] == 4


def test_an_existing_folder_is_never_trained_into(
    tiny: list[str], call: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("mine")
    assert "--out . exists already" in call("corridor.py", *tiny, "--out", ".").line
    assert (tmp_path / "config.json").read_text() == "mine"


@pytest.mark.parametrize("words", [["--agent", "gru"], ["--agent=gru"], ["--agent"]])
def test_an_unknown_agent_is_refused_with_the_ones_there_are(
    words: list[str], call: Callable[..., Any], tmp_path: Path
) -> None:
    line = call("corridor.py", *words).line
    assert "--agent" in line
    assert "expire-span, transformer-xl, adaptive-span, compressive, lstm, memoryless" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["--agent", "lstm"], ["--agent=lstm"]])
def test_an_agent_without_memories_to_count_shows_dashes(
    words: list[str], call: Callable[..., Any], tmp_path: Path
) -> None:
    few = ("--env.max-length", "4", "--train.num-envs", "4", "--train.total-steps", "64")
    done = call(
        *("corridor.py", *words, *few, "--train.rollout-length", "8", "--eval.episodes", "3"),
        *("--no-video", "--out", "run"),
    )
    assert done.code == 0, done.err
    assert "nan" not in done.out
    assert "lstm" in done.out
    assert (tmp_path / "run" / "results.json").exists()
