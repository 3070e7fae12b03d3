"""`rl-expire`, and the scripts that run the same commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import cli
from experiments.tasks import TASKS
from rl_expire.runs.checkpoint import load_tree
from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import SCRIPTS, TINY, Call, read_json
from tests.support import same_tree

RL_EXPIRE = [sys.executable, "-P", "-m", "experiments"]


def weights(run: Path) -> object:
    """The weights and the random state in the newest checkpoint."""
    return load_tree(RunFolder(run).checkpoints.paths()[0])["trainer"]


def test_help_lists_every_command(call: Call) -> None:
    done = call("--help")
    assert (done.code, done.err) == (0, "")
    for name, (_, about) in cli.COMMANDS.items():
        assert f"  {name} " in done.out
        assert about in done.out
    assert call("-h").out == done.out


def test_no_command_at_all_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == 0
    assert "usage: rl-expire COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str, call: Call) -> None:
    done = call(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"usage: rl-expire {command} " in done.out


def test_the_help_of_train_names_tasks_and_ids_first(call: Call) -> None:
    about = call("train", "--help").out
    at = [about.index(word) for word in ("TASK|ENV_ID", *TASKS, "ENV_ID is", "--env-id")]
    assert at == sorted(at)
    assert "TASK|ENV_ID" not in call("train", "corridor", "--help").out


def test_a_reader_that_stops_ends_the_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as end:
            cli.main(["train", "--help"])
        closed.write("more")
        closed.flush()
    assert end.value.code == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["trian", "--seed", "train.py "])
def test_an_unknown_command_is_one_line(command: str, call: Call) -> None:
    line = call(command).line
    assert line.startswith(f"rl-expire: error: {command!r} is unknown: choose one of train, watch")


@pytest.mark.parametrize("task", ["corridor", "portal", "instruction", "collision"])
def test_a_task_and_its_script_have_the_same_options(task: str, call: Call) -> None:
    program, script = call("train", task, "--help"), call(f"{task}.py", "--help")
    assert program.code == script.code == 0
    assert len(program.out.splitlines()) > 50
    prog = f"python experiments/{task}.py"
    assert script.out.replace(prog, "").split() == (
        program.out.replace(f"rl-expire train {task}", "").split()
    )


def test_a_script_trains_as_the_program_does(tiny_run: Path, tmp_path: Path, call: Call) -> None:
    done = call("corridor.py", *TINY, "--out", "run")
    assert done.code == 0, done.err
    same_tree(weights(tmp_path / "run"), weights(tiny_run))
    names = [RunFolder.open(run)[1] for run in (tmp_path / "run", tiny_run)]
    assert names[0] == names[1]


def test_a_task_that_is_misspelt_is_suggested(call: Call) -> None:
    done = call("train", "coridor")
    assert done.code == 2
    assert done.err.strip() == "rl-expire: error: coridor is no task: did you mean corridor?"


def test_an_environment_can_be_named_with_and_without_its_option() -> None:
    words = ["--agent", "lstm", "--seed", "3"]
    calls = [
        cli.train_command([*first, *words], "prog")
        for first in (["CartPole-v1"], ["--env-id", "CartPole-v1"])
    ]
    options = [call.args[0] for call in calls]  # type: ignore[attr-defined]
    assert options[0] == options[1]
    assert options[0].id_of_env() == "CartPole-v1"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "corridor", "--env.max-length", "50", "--agent", "lstm"],
        ["train", "MiniGrid-MemoryS13Random-v0"],
        ["watch", "runs/RUN", "--page"],
        ["bench", "act", "--run", "runs/RUN"],
        ["compare", "corridor", "--", "--env.num-cues", "4"],
    ],
    ids=" ".join,
)
def test_a_command_can_be_checked_without_running_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.parses(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["trian"],
        ["train", "corridor", "--magic", "1"],
        ["train", "corridor", "--agent", "rnn"],
        ["watch"],
        ["bench", "fly"],
        ["compare", "corridor", "--magic"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_does_not_pass_the_check(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        cli.parses(words)


@pytest.mark.parametrize("command", [[*RL_EXPIRE, "train", "corridor"], None])
def test_a_process_reports_an_unknown_option_in_one_line(
    command: list[str] | None, tmp_path: Path
) -> None:
    words = [*(command or [sys.executable, str(SCRIPTS / "corridor.py")]), "--agent.rmp", "3"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    name = "rl-expire" if command else "corridor.py"
    assert line.startswith(f"{name}: error: Unrecognized options: --agent.rmp, 3")
    assert "Perhaps you meant" in line
    assert not list(tmp_path.iterdir())


def accept_ctrl_c() -> None:
    """Undo that a shell starts background processes, such as this test, with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = [*TINY, "--train.total-steps", "100000000", "--out", "run"]
    process = subprocess.Popen(
        [*RL_EXPIRE, "train", "corridor", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=accept_ctrl_c,
    )
    metrics, deadline = tmp_path / "run" / "metrics.jsonl", time.monotonic() + 60
    while not metrics.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Go on with:  rl-expire train corridor --resume run" in out
    assert RunFolder(tmp_path / "run").checkpoints.exist
    assert not (tmp_path / "run" / "results.json").exists()
    assert read_json(tmp_path / "run" / "config.json")["train"]["total_steps"] == 100_000_000
