"""`rl-expire train` on any Gymnasium environment, and on environments that fail."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.train import AnyEnv, Train
from experiments.training.build import make_trainer
from rl_expire.learning import ppo
from rl_expire.learning.curriculum import Result
from rl_expire.learning.trainer import Trainer
from rl_expire.runs.run_folder import RunFolder
from rl_expire.vector.faults import EnvFaultError
from tests.experiments.conftest import Call, read_json
from tests.experiments.conftest import call as call_in

TINY = (
    *("--threads", "1", "--agent.width", "16", "--ppo.minibatches", "2"),
    *("--train.num-envs", "4", "--train.rollout-length", "4", "--train.longest-rollout", "4"),
    *("--train.total-steps", "32", "--train.checkpoint-every", "1"),
    *("--eval.episodes", "2", "--eval.num-envs", "2"),
)
FAULTY = ("tests.faulty:Faulty-v0", *TINY, "--no-video", "--train.total-steps", "320")
TAXI = max(name for name in gym.registry if name.startswith("Taxi-v"))
ENVS = {
    "wrapped": ("CartPole-v1", "--wrappers", "envs.masked:MaskVelocity", "--no-video"),
    "vector form": ("CartPole-v1", "--no-video"),
    "images": (
        *("MiniGrid-MemoryS13Random-v0", "--env.option", "max_steps=6"),
        *("--agent", "lstm", "--no-video"),
    ),
    "of this project": ("RLExpire/Corridor-v0", "--env.option", "max_length=4", "--no-video"),
    "pixels in processes": ("tests.faulty:Pixels-v0", "--vectorization", "async"),
}


@pytest.mark.parametrize("name", ENVS)
def test_any_environment_leaves_a_run_that_can_be_resumed(
    name: str, call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = call("train", *ENVS[name], *TINY, "--out", "run")
    assert done.code == 0, done.err
    results = read_json(run / "results.json")
    assert results["train.steps"] == 32
    assert results["eval.episodes"] == 2
    assert results["eval.success"] is None or 0 <= results["eval.success"] <= 1
    tells = name in ("images", "of this project")  # the others have a threshold of the mean at most
    assert (results["eval.success"] is not None) == tells
    assert (run / "retention.mp4").exists() == (name == "pixels in processes")
    words = ("--resume", "run", "--no-video", "--train.total-steps", "64")
    done = call("train", *words, "--trust", "tests.faulty")
    assert done.code == 0, done.err
    assert read_json(run / "results.json")["train.steps"] == 64
    assert RunFolder.open(run)[1]["train"]["total_steps"] == 64


def best_returns(env: Any, episodes: int) -> list[float]:
    """Return the returns of the best policy in an environment that has its transitions in `P`."""
    transitions, horizon = env.unwrapped.P, env.spec.max_episode_steps
    value, policies = np.zeros(len(transitions)), []
    for _ in range(horizon):
        q = [
            [sum(p * (r + (not end) * value[to]) for p, to, r, end in way) for way in ways.values()]
            for ways in transitions.values()
        ]
        value = np.max(q, axis=1)
        policies.insert(0, np.argmax(q, axis=1))
    returns = []
    for seed in range(episodes):
        state, total, over, t = env.reset(seed=seed)[0], 0.0, False, 0
        while not over:
            state, reward, terminated, truncated, _ = env.step(int(policies[t][state]))
            total, over, t = total + reward, terminated or truncated, t + 1
        returns.append(total)
    return returns


@pytest.mark.parametrize(("env_id", "passing"), [("FrozenLake-v1", 0.8), (TAXI, 0.6)])
def test_the_best_policy_solves_a_task_whose_threshold_is_a_mean(
    env_id: str, passing: float
) -> None:
    options = Train(env=AnyEnv(env_id=env_id))
    schedule = make_trainer(options, torch.device("cpu")).schedule
    threshold = gym.spec(env_id).reward_threshold or 0.0
    assert (schedule.goal.threshold, options.env_config().solved_return) == (threshold, None)
    returns = best_returns(gym.make(env_id), options.curriculum.window)
    assert sum(r >= threshold for r in returns) / len(returns) < passing, "of each episode"
    worse = [Result(1.0, math.nan, r - 0.1 * abs(threshold)) for r in returns]
    schedule.observe(1, worse)
    assert not schedule.solved()
    schedule.observe(2, [Result(1.0, math.nan, r) for r in returns])
    assert schedule.solved()
    assert schedule.solved_step == 2


@pytest.mark.parametrize(
    ("word", "value"),
    [("a=1", 1), ("a=true", True), ("a=False", False), ("a=None", None), ("a=none", "none")],
)
def test_options_of_an_environment_are_read_as_json_or_as_in_python(word: str, value: Any) -> None:
    env = AnyEnv(env_id="CartPole-v1", option=(word,))
    assert env.options() == {"a": value}
    assert type(env.options()["a"]) is type(value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "--env-id is missing: give one, such as CartPole-v1"),
        (
            "CartPol-v1",
            "environment CartPol-v1 is unknown: did you mean CartPole-v1 or CartPole-v0",
        ),
        ("CartPole", "environment CartPole is unknown: did you mean CartPole-v1 or CartPole-v0?"),
        ("nowhere:CartPole-v1", "No module named 'nowhere'"),
        ("CartPole-v1 --wrappers CartPole", "--wrappers"),
        ("CartPole-v1 --wrappers a.b:C", "--wrappers"),
        ("CartPole-v1 --wrappers envs.masked:No", "--wrappers"),
        ("CartPole-v1 --wrappers envs.masked:VELOCITIES", "--wrappers"),
        ("Blackjack-v1 --wrappers envs.masked:MaskVelocity", "knows the velocities of"),
        ("CartPole-v1 --env.option speed", "--env.option speed is no NAME=VALUE"),
        ("CartPole-v1 --env.option speed=3", "unexpected keyword argument 'speed'"),
        ("RLExpire/Corridor-v0 --env.option max_length=1", "max_length"),
        ("Blackjack-v1 --vectorization native", "environment Blackjack-v1 cannot be made"),
        ("CartPole-v1 --vectorization fast", "--vectorization"),
        (
            "CartPole-v1 --vectorization native --wrappers envs.masked:MaskVelocity",
            "--vectorization native takes no --wrappers",
        ),
        (
            "CartPole-v1 --vectorization native --on-env-fault restart",
            "--on-env-fault restart cannot rebuild one environment of a native batch",
        ),
        ("tests.faulty:HalfBounded-v0", "action space Box(0.0, inf, (2,), float32) is"),
        (
            "tests.faulty:Sequence-v0",
            "Sequence(Discrete(2), stack=False) at ['b/0'] is not",
        ),
        ("CartPole-v1 --env-timeout 0", "--env-timeout is 0.0: choose a number above 0"),
        ("CartPole-v1 --most-env-faults 0", "--most-env-faults is 0: choose 1 or more"),
        ("CartPole-v1 --train.most-skipped -1", "--train.most-skipped is -1"),
        ("--resume latest", "--resume latest: no run of any environment"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(
    words: str, message: str, call: Call, tmp_path: Path
) -> None:
    assert message in call("train", *words.split()).line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fault", "how"), [("raise", "sync"), ("die", "async"), ("hang", "async")])
def test_a_fault_stops_the_run_which_goes_on_with_restarts(
    fault: str, how: str, call: Call, tmp_path: Path
) -> None:
    words = (*FAULTY, "--vectorization", how, "--env-timeout", "1.5", "--env.option")
    words += (f"fault={fault}", f"once={tmp_path / 'once'}")
    (tmp_path / "once").touch()  # no fault yet
    done = call("train", *words, "--train.total-steps", "48", "--out", "run")
    assert done.code == 0, done.err
    (tmp_path / "once").unlink()
    assert "add --trust tests.faulty" in call("train", "--resume", "run").line
    resume = ("--resume", "run", "--no-video", "--train.total-steps", "96")
    done = call("train", FAULTY[0], *resume)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("rl-expire: error: after 48 steps environment ")
    assert "step 3 of its episode" in line
    assert "rl-expire train --resume run --trust tests.faulty" in line
    (tmp_path / "once").unlink()
    done = call("train", *resume, "--trust", "tests", "--on-env-fault", "restart")
    assert done.code == 0, done.err
    assert "the environment is rebuilt and its episode truncated" in done.out
    last = RunFolder(tmp_path / "run").checkpoints.load(lambda state: state)["trainer"]
    assert last["counts"] == {"skipped_updates": 0, "env_faults": 1}
    assert last_metrics(tmp_path / "run")["env_faults"] == 1


def test_environments_that_cannot_be_closed_are_evaluated(call: Call, tmp_path: Path) -> None:
    done = call("train", "tests.faulty:Unclosable-v0", *TINY, "--no-video", "--out", "run")
    assert done.code == 0, done.err
    assert read_json(tmp_path / "run" / "results.json")["eval.episodes"] == 2
    assert "environment 0 cannot be closed: RuntimeError: the window is in use" in done.err


def last_metrics(run: Path) -> Any:
    """Return the last line of `metrics.jsonl`."""
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def test_what_was_learned_before_a_fault_is_saved(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if no checkpoint was due."""
    update = Trainer.update

    def fail_in_the_third(trainer: Trainer[Any]) -> dict[str, float]:
        if trainer.updates == 2:
            raise EnvFaultError("environment 0: its reward is not finite")
        return update(trainer)

    monkeypatch.setattr(Trainer, "update", fail_in_the_third)
    done = call("train", *FAULTY, "--train.checkpoint-every", "50", "--out", "run")
    assert done.code == 1
    assert "after 32 steps environment 0: its reward is not finite" in done.err
    saved = RunFolder(tmp_path / "run").checkpoints.load(lambda state: state)["trainer"]
    assert saved["updates"] == 2


def test_a_few_losses_that_are_not_finite_are_skipped_and_counted(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ppo_loss, calls = ppo.ppo_loss, []

    def sometimes_nan(*args: Any, **options: Any) -> Any:
        calls.append(0)
        loss, stats = ppo_loss(*args, **options)
        return (loss * torch.nan if len(calls) in (2, 3, 7) else loss), stats

    monkeypatch.setattr(ppo, "ppo_loss", sometimes_nan)
    done = call("train", *FAULTY, "--out", "run", "--ppo.stop-kl", "None")
    assert done.code == 0, done.err
    assert last_metrics(tmp_path / "run")["skipped_updates"] == 3


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
        *("train", "tests.faulty:Faulty-v0", "--env.option", f"fault={fault}"),
        *("--agent", agent, "--agent.layers", str(layers), "--agent.width", str(width)),
        *("--agent.reconstruct", reconstruct),
        *("--vectorization", how, "--on-env-fault", "restart" if restart else "stop"),
        *("--ppo.learning-rate", rate, "--ppo.minibatches", str(minibatches), "--no-video"),
        *("--train.num-envs", str(envs), "--train.rollout-length", str(length)),
        *("--train.total-steps", str(3 * envs * length), "--threads", "1"),
        *("--eval.episodes", "1", "--eval.num-envs", "1", "--out", "run"),
        cwd=tmp_path_factory.mktemp("any"),
    )
    assert done.code in (0, 1, 2), done
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == (done.code != 0), done.err


@pytest.mark.parametrize("cause", ["render", "ffmpeg"])
def test_a_video_that_fails_is_one_warning_and_costs_no_score(
    cause: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cause == "render":

        def fail(env: Any) -> None:
            raise RuntimeError("no display")

        monkeypatch.setattr("tests.faulty.PixelsEnv.render", fail)
    else:
        monkeypatch.setitem(sys.modules, "moviepy.video.io.ffmpeg_writer", None)
    done = call("train", "tests.faulty:Pixels-v0", *TINY, "--out", "run")
    assert done.code == 0, done.err
    assert done.out.count("warning: no video: ") == 1
    assert ("no display" if cause == "render" else "FFmpeg cannot be started") in done.out
    assert read_json(tmp_path / "run" / "results.json")["train.steps"] == 32
    assert not list((tmp_path / "run").glob("*.mp4"))


@pytest.mark.parametrize("env_id", ["MiniGrid-Empty-5x5-v0", "BabyAI-GoToRedBall-v0"])
def test_any_reward_is_a_success_in_minigrid_and_babyai(env_id: str) -> None:
    solved_return = Train(env=AnyEnv(env_id=env_id)).env_config().solved_return
    assert solved_return is not None
    assert 0 < solved_return < 0.01


@pytest.mark.slow
def test_a_decision_that_is_paid_128_steps_later_is_learned(call: Call, tmp_path: Path) -> None:
    words = ("--agent", "lstm", "--train.total-steps", "90000", "--threads", "1", "--no-video")
    words += ("--eval.episodes", "32", "--eval.num-envs", "32", "--out", "run")
    done = call("train", "tests.late_reward:LateReward-v0", *words)
    assert done.code == 0, done.err
    results = read_json(tmp_path / "run" / "results.json")
    assert results["eval.success"] == 1
    assert results["eval_sampled.success"] > 0.75
