"""The corridor's command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl_expire.runs.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "experiments" / "corridor.py")
TINY = [
    *("--threads", "1", "--no-video", "--agent.width", "16", "--agent.max-span", "40"),
    *("--env.max-length", "6", "--curriculum.start", "4", "--train.num-envs", "8"),
    *("--train.total-steps", "512", "--train.rollout-length", "16", "--eval.episodes", "7"),
]
KEYS = {
    *("env_id", "agent", "seed", "commit", "hardware"),
    *("train.steps", "train.seconds", "train.steps_per_second"),
    *("eval.episodes", "eval.success", "eval.return_mean", "eval.success_at_hardest"),
    *("eval.kept_per_layer", "eval.kept_at_decision_per_layer"),
    *("eval.span_relevant", "eval.span_other", "oracle.return_mean"),
}


def corridor(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corridor")
    done = corridor(*TINY, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_short_run_leaves_everything_it_promises(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert results.keys() >= KEYS
    assert results["train.steps"] == 512
    assert results["eval.episodes"] == 7
    assert results["oracle.return_mean"] == 1.0
    assert json.loads((run / "config.json").read_text())["env"]["options"]["max_length"] == 6
    assert RunFolder(run).checkpoints.exist


def test_a_finished_run_can_be_continued_with_a_larger_budget(run: Path) -> None:
    done = corridor(
        *("--resume", str(run), "--no-video", "--train.total-steps", "2048"), cwd=run.parent
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "results.json").read_text())["train.steps"] == 2048
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    # Every tenth update of 8 * 16 steps, and the last of each session.
    assert [line["steps"] for line in lines] == [512, 10 * 8 * 16, 2048]
    assert {"success", "success_longest", "kept/0", "span_other", "phase"} <= lines[-1].keys()


def heed_interrupts() -> None:
    """What a shell puts into the background inherits that Ctrl-C is not for it; this one's is."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_keeps_what_was_learned_and_says_how_to_go_on(
    told: signal.Signals, tmp_path: Path
) -> None:
    words = [*TINY, "--train.total-steps", "100000000", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, SCRIPT, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=heed_interrupts,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    began = time.monotonic()
    while not metrics.exists() and time.monotonic() - began < 60:
        time.sleep(0.2)
    process.send_signal(told)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "--resume run" in out
    assert RunFolder(tmp_path / "run").checkpoints.exist


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--env.max-length", "2"], "max_length"),
        (["--agent.ramp", "0"], "--agent.ramp"),
        (["--agent.heads", "3"], "heads 3"),
        (["--agent.capacity", "0"], "--agent.capacity"),
        (["--train.num-envs", "10"], "--train.num-envs"),
        (["--device", "tpu"], "--device"),
        (["--resume", "."], "not a run folder"),
        (["--out", "/proc/none/run"], "--out"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_writes_nothing(
    words: list[str], says: str, tmp_path: Path
) -> None:
    done = corridor(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_written_over(run: Path) -> None:
    before = (run / "config.json").read_text()
    done = corridor(*TINY, "--out", str(run), cwd=run.parent)
    assert done.returncode == 2
    assert "--resume" in done.stderr
    assert (run / "config.json").read_text() == before
