"""train.py: any Gymnasium environment, the same run folder, and every fault survived or named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl_expire.runs.run_folder import RunFolder
from tests.experiments.conftest import call as call_in

Call = Callable[..., Any]
TINY = [
    *("--threads", "1", "--agent.width", "16", "--agent.max-span", "20", "--ppo.minibatches", "2"),
    *("--train.num-envs", "4", "--train.rollout-length", "4", "--train.total-steps", "32"),
    *("--train.checkpoint-every", "1", "--eval.episodes", "2", "--eval.num-envs", "2"),
]
QUIET = [*TINY, "--no-video"]
FAULTY = ["--env-id", "tests.faulty:Faulty-v0", *QUIET, "--train.total-steps", "320"]
ENVS = {
    "masked cartpole": ["--env-id", "CartPole-v1", "--wrappers", "envs.masked:MaskVelocity"],
    "native cartpole": ["--env-id", "CartPole-v1"],
    "minigrid memory": [
        *("--env-id", "MiniGrid-MemoryS13Random-v0"),
        *("--env.option", "max_steps=6", "--agent", "lstm"),
    ],
    "own id": [
        *("--env-id", "RLExpire/Corridor-v0", "--env.option", "max_length=4"),
    ],
    "pixels, async": ["--env-id", "tests.faulty:Pixels-v0", "--vectorization", "async"],
}


def words_of(name: str) -> list[str]:
    """The options of a run of one of `ENVS`; an LSTM has no spans."""
    words = list(TINY)
    if "lstm" in ENVS[name]:
        at = words.index("--agent.max-span")
        del words[at : at + 2]
    return [*ENVS[name], *words, *([] if name == "pixels, async" else ["--no-video"])]


def told(run: Path, name: str) -> Any:
    """The last line, or all, of a file of JSON."""
    return json.loads(
        (run / name).read_text().splitlines()[-1] if "jsonl" in name else (run / name).read_text()
    )


@pytest.mark.parametrize("name", ENVS)
def test_any_environment_leaves_a_run_that_goes_on_and_can_be_watched(
    name: str, call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = call("train.py", *words_of(name), "--out", "run")
    assert done.code == 0, done.err
    results = told(run, "results.json")
    assert results["train.steps"] == 32
    assert results["eval.episodes"] == 2
    if name != "pixels, async":
        assert 0 <= results["eval.success"] <= 1
    assert (run / "retention.mp4").exists() == (name == "pixels, async")
    done = call(
        "train.py",
        "--resume",
        "latest" if False else "run",
        "--no-video",
        "--train.total-steps",
        "64",
    )
    assert done.code == 0, done.err
    assert told(run, "results.json")["train.steps"] == 64
    assert RunFolder.open(run)[1]["train"]["total_steps"] == 64


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "--env-id is missing: give one, such as CartPole-v1"),
        ("--env-id CartPol-v1", "environment CartPol-v1 is unknown: "),
        ("--env-id nowhere:CartPole-v1", "No module named 'nowhere'"),
        ("--env-id CartPole-v1 --wrappers CartPole", "--wrappers CartPole is no module:Class"),
        ("--env-id CartPole-v1 --wrappers a.b:C", "--wrappers a.b:C cannot be imported"),
        ("--env-id CartPole-v1 --wrappers envs.masked:No", "--wrappers envs.masked:No cannot be"),
        ("--env-id CartPole-v1 --wrappers envs.masked:VELOCITIES", "give a class or function"),
        ("--env-id Blackjack-v1 --wrappers envs.masked:MaskVelocity", "knows the velocities of"),
        ("--env-id CartPole-v1 --env.option speed", "--env.option speed is no NAME=VALUE"),
        ("--env-id CartPole-v1 --env.option speed=3", "unexpected keyword argument 'speed'"),
        ("--env-id RLExpire/Corridor-v0 --env.option max_length=1", "max_length"),
        ("--env-id Blackjack-v1 --vectorization native", "environment Blackjack-v1 cannot be made"),
        ("--env-id CartPole-v1 --vectorization fast", "--vectorization"),
        (
            "--env-id CartPole-v1 --vectorization native --wrappers envs.masked:MaskVelocity",
            "--vectorization native takes no --wrappers",
        ),
        (
            "--env-id CartPole-v1 --vectorization native --on-env-fault restart",
            "--on-env-fault restart cannot rebuild one environment of a native batch",
        ),
        ("--env-id tests.faulty:Continuous-v0", "action space Box(-1.0, 1.0, (2,), float32) is"),
        ("--env-id tests.faulty:Nested-v0", "observation space Tuple(Discrete(2)) at ['b'] is not"),
        ("--env-id CartPole-v1 --env-timeout 0", "--env-timeout is 0.0: choose a number above 0"),
        ("--env-id CartPole-v1 --most-env-faults 0", "--most-env-faults is 0: choose 1 or more"),
        ("--env-id CartPole-v1 --train.most-skipped -1", "--train.most-skipped is -1"),
        ("--resume latest", "--resume latest: no run of any environment"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line_and_leaves_nothing(
    words: str, says: str, call: Call, tmp_path: Path
) -> None:
    assert says in call("train.py", *words.split()).line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fault", "how"), [("raise", "sync"), ("die", "async"), ("hang", "async")])
def test_a_fault_stops_the_run_saved_and_with_restart_it_goes_on(
    fault: str, how: str, call: Call, tmp_path: Path
) -> None:
    words = [*FAULTY, "--vectorization", how, "--env-timeout", "1.5", "--env.option"]
    options = [f"fault={fault}", f"once={tmp_path / 'once'}"]
    (tmp_path / "once").touch()  # all is well at first
    done = call("train.py", *words, *options, "--train.total-steps", "48", "--out", "run")
    assert done.code == 0, done.err
    (tmp_path / "once").unlink()
    go_on = ["--resume", "run", "--no-video", "--train.total-steps", "96"]
    done = call("train.py", *go_on)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("train.py: error: after 48 steps environment ")
    assert "step 3 of its episode" in line
    assert "train.py --resume run" in line
    (tmp_path / "once").unlink()
    done = call("train.py", *go_on, "--on-env-fault", "restart")
    assert done.code == 0, done.err
    assert "it is rebuilt, its episode truncated" in done.out
    last = RunFolder(tmp_path / "run").checkpoints.load(lambda state: state)["trainer"]
    assert last["counts"] == {"skipped_updates": 0, "env_faults": 1}
    assert told(tmp_path / "run", "metrics.jsonl")["env_faults"] == 1


def test_what_was_learned_before_a_fault_is_saved(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the last checkpoint was due long ago."""
    from rl_expire.learning.trainer import Trainer
    from rl_expire.vector.faults import EnvFaultError

    plain = Trainer.update

    def fails_in_the_third(trainer: Trainer[Any]) -> dict[str, float]:
        if trainer.updates == 2:
            raise EnvFaultError("environment 0: its reward is not finite")
        return plain(trainer)

    monkeypatch.setattr(Trainer, "update", fails_in_the_third)
    done = call("train.py", *FAULTY, "--train.checkpoint-every", "50", "--out", "run")
    assert done.code == 1
    assert "after 32 steps environment 0: its reward is not finite" in done.err
    saved = RunFolder(tmp_path / "run").checkpoints.load(lambda state: state)["trainer"]
    assert saved["updates"] == 2


def test_a_few_losses_that_are_not_finite_are_left_out_and_counted(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rl_expire.learning import ppo

    plain, calls = ppo.ppo_loss, []

    def sometimes_nan(*args: Any, **options: Any) -> Any:
        calls.append(0)
        loss, stats = plain(*args, **options)
        return (loss * torch.nan if len(calls) in (2, 3, 7) else loss), stats

    monkeypatch.setattr(ppo, "ppo_loss", sometimes_nan)
    done = call("train.py", *FAULTY, "--out", "run", "--ppo.stop-kl", "None")
    assert done.code == 0, done.err
    assert told(tmp_path / "run", "metrics.jsonl")["skipped_updates"] == 3


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    agent=st.sampled_from(["expire-span", "transformer-xl", "lstm", "memoryless"]),
    envs=st.sampled_from([0, 2, 3, 4]),
    length=st.integers(0, 5),
    minibatches=st.integers(0, 2),
    layers=st.integers(0, 2),
    width=st.sampled_from([0, 8, 12]),
    how=st.sampled_from(["auto", "native", "sync"]),
    fault=st.sampled_from(["none", "raise", "odd"]),
    restart=st.booleans(),
    rate=st.sampled_from(["1e-3", "1e30", "0"]),
    reconstruct=st.sampled_from(["0", "10", "1e30", "-1"]),
)
def test_any_small_configuration_trains_or_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory,
    agent: str,
    envs: int,
    length: int,
    minibatches: int,
    layers: int,
    width: int,
    how: str,
    fault: str,
    restart: bool,
    rate: str,
    reconstruct: str,
) -> None:
    done = call_in(
        *("train.py", "--env-id", "tests.faulty:Faulty-v0", "--env.option", f"fault={fault}"),
        *("--agent", agent, "--agent.layers", str(layers), "--agent.width", str(width)),
        *("--agent.reconstruct", reconstruct),
        *("--vectorization", how, "--on-env-fault", "restart" if restart else "stop"),
        *("--ppo.learning-rate", rate, "--ppo.minibatches", str(minibatches), "--no-video"),
        *("--forgetting.minibatches", str(max(1, minibatches))),
        *("--train.num-envs", str(envs), "--train.rollout-length", str(length)),
        *("--train.total-steps", str(3 * envs * length), "--threads", "1"),
        *("--eval.episodes", "1", "--eval.num-envs", "1", "--out", "run"),
        cwd=tmp_path_factory.mktemp("any"),
    )
    assert done.code in (0, 1, 2), done
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == (done.code != 0), done.err
